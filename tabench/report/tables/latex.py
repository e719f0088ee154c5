"""A results table as LaTeX (booktabs), and a small document to look at tables and figures."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from tabench.report.tables.frames import Entry, Table

_ESCAPES: Mapping[str, str] = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "±": r"$\pm$",
    "°": r"$^\circ$",
    "×": r"$\times$",
    "Δ": r"$\Delta$",
    "λ": r"$\lambda$",
    "−": r"$-$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "↑": r"$\uparrow$",
    "↓": r"$\downarrow$",
    "†": r"\textdagger{}",
    "“": "``",
    "”": "''",
    "’": "'",
    "–": "--",
    "—": "---",
    "…": r"\ldots{}",
}

_UNDECLARED = "ĦħĸĿŀŉŦŧſ"


def escape_latex(text: str) -> str:
    """Make a name inert in LaTeX text; letters that pdflatex cannot set become "?"."""
    kept = []
    for letter in " ".join(text.replace("Δ_b", "\0").split()):
        if letter == "\0":
            kept.append(r"$\Delta_b$")
        elif letter == "-" and kept and kept[-1] == "-":
            kept.append("{}-")  # keeps "--" from turning into a dash
        elif letter in _ESCAPES:
            kept.append(_ESCAPES[letter])
        else:
            # letters of Latin-1 and Latin Extended-A are declared for UTF-8 input and T1 fonts, but for a few
            known = letter.isprintable() and ord(letter) < 0x180 and letter not in _UNDECLARED
            kept.append(letter if known else "?")
    # behind the end of a table's row, "[" and "*" would be taken for its options
    return "".join(kept if not kept or kept[0] not in ("[", "*") else ["{}", *kept])


def latex(table: Table) -> str:
    """A ``table*`` float; needs the packages booktabs and graphicx."""
    columns = table.columns
    lines = [
        "% Needs \\usepackage{booktabs,graphicx}.",
        r"\begin{table*}[htbp]",
        r"\centering",
        rf"\caption{{{escape_latex(table.caption)}{_warning(table)}}}",
        rf"\label{{tab:{table.label}}}",
        r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",  # shrinks, never enlarges
        r"\setlength{\tabcolsep}{4pt}%",
        rf"\begin{{tabular}}{{l{'r' * len(columns)}r}}",
        r"\toprule",
        _line(
            ["", *(rf"\multicolumn{{{len(g)}}}{{c}}{{{escape_latex(name)}}}" for name, g in table.groups), ""]
        ),
        _rules(table),
        _line(["Method", *(heading(column.heading) for column in columns), "Seeds"]),
        r"\midrule",
    ]
    for method in table.methods:
        cells = [_marked(table.entry(method, column.id)) for column in columns]
        lines.append(_line([escape_latex(table.titles[method]), *cells, escape_latex(table.seeds[method])]))
    notes = r"\\ ".join(escape_latex(note) for note in table.notes)
    return "\n".join(
        [
            *lines,
            r"\bottomrule",
            r"\end{tabular}}",
            rf"\par\smallskip\parbox{{\linewidth}}{{\footnotesize {notes}}}",
            r"\end{table*}",
            "",
        ]
    )


def figure(stem: str, caption: str, label: str) -> str:
    """A ``figure*`` float of a picture beside the tables folder; shrunk where it must be, never enlarged."""
    file = f"../figures/{stem}.pdf"
    return "\n".join(
        [
            r"\begin{figure*}[htbp]",
            r"\centering",
            rf"\sbox0{{\includegraphics{{{file}}}}}%",  # its own size is the largest it gets
            r"\includegraphics[width=\ifdim\wd0>\linewidth\linewidth\else\wd0\fi,"
            rf"height=.8\textheight,keepaspectratio]{{{file}}}",
            rf"\caption{{{escape_latex(caption)}}}",
            rf"\label{{fig:{label}}}",
            r"\end{figure*}",
            "",
        ]
    )


def preview(names: Sequence[str]) -> str:
    """A document that shows the given files: ``pdflatex preview.tex`` inside the tables folder."""
    return "\n".join(
        [
            r"\documentclass[10pt]{article}",
            r"\usepackage[T1]{fontenc}",
            r"\usepackage{lmodern}",
            r"\usepackage[a4paper,landscape,margin=15mm]{geometry}",
            r"\usepackage{array,booktabs,graphicx}",
            r"\begin{document}",
            *(rf"\input{{{name}}}" for name in names),
            r"\end{document}",
            "",
        ]
    )


def heading(text: str, side: str = "r") -> str:
    """A column's heading in short lines: long ones would widen the table until it is shrunk too far.

    Args:
        text: The heading.
        side: "l" or "r", as the column below it.
    """
    bound = text.replace(" ↑", "\u00a0↑").replace(" ↓", "\u00a0↓")  # an arrow stays with its word
    lines = textwrap.wrap(bound, 12, break_long_words=False, break_on_hyphens=False)
    inside = r"\\".join(escape_latex(line) for line in lines)
    return rf"\shortstack[{side}]{{{inside}}}" if len(lines) > 1 else inside


def _warning(table: Table) -> str:
    return f" {escape_latex(table.warning)}" if table.warning else ""


def _rules(table: Table) -> str:
    rules, start = [], 2
    for _, group in table.groups:
        rules.append(rf"\cmidrule(lr){{{start}-{start + len(group) - 1}}}")
        start += len(group)
    return "".join(rules)


def _marked(entry: Entry) -> str:
    mean = _number(entry.shown)
    if entry.rank == 1:
        mean = rf"\textbf{{{mean}}}"
    elif entry.rank == 2:
        mean = rf"\underline{{{mean}}}"
    return rf"{mean}\,{{\scriptsize$\pm$\,{entry.shown_sd}}}" if entry.shown_sd else mean


def _number(text: str) -> str:
    return rf"$-${text[1:]}" if text.startswith("-") else escape_latex(text)


def _line(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
