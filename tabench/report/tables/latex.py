"""A table as LaTeX (booktabs), and a small document to look at tables and figures."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from tabench.report.tables.table import Column, Entry, Table

WIDE = 9  # columns from which those that say the same in every row move below the table
LINES = 38  # rows on a page, beside caption and notes
LETTERS = 6.2  # a centimetre of small print
_SMALL = r"\footnotesize"
_NEGATIVE = re.compile(r"(?<![\w.-])-(?=\d)")

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
    "▲": r"$\bigtriangleup$",
    "▼": r"$\bigtriangledown$",
    "†": r"\textdagger{}",
    "‡": r"\textdaggerdbl{}",
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
    r"""``table*`` floats, as many as the rows need pages; they need booktabs, array and graphicx.

    Columns of words with one text in every row of a wide table stand below it. A text that a row shares with
    the row above, together with all to its left, is printed once. Parts after the first keep its number.
    """
    constant = _constant(table)
    kept = [i for i in range(len(table.columns)) if i not in constant]
    said = " ".join(f"{table.columns[i].whole}: {table.rows[0][i].text} in every row." for i in constant)
    notes = [note for note in (said, *table.notes) if note]
    caption, parts = escape_latex(table.whole_caption), list(_parts(table))
    lines = [r"% Needs \usepackage{array,booktabs,graphicx}."]
    for number, rows in enumerate(parts):
        later = number > 0
        lines += [
            r"\begin{table*}[tbp]",
            *([r"\addtocounter{table}{-1}"] if later else []),
            r"\centering",
            rf"\caption[]{{{caption} (Continued.)}}" if later else rf"\caption{{{caption}}}",
            *([] if later else [rf"\label{{tab:{table.label}}}"]),
            # small print where texts are long; values keep the size of the text
            rf"{'' if table.keys else _SMALL}\setlength{{\tabcolsep}}{{4pt}}%",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",  # shrinks, never enlarges
            rf"\begin{{tabular}}{{{''.join(_kind(table.columns[i]) for i in kept)}}}",
            r"\toprule",
            *_head([table.columns[i] for i in kept]),
            r"\midrule",
            *_body(rows, kept, apart=bool(table.columns[0].width)),
            r"\bottomrule",
            r"\end{tabular}}",
        ]
        if notes and number == len(parts) - 1:
            printed = r"\\ ".join(escape_latex(note) for note in notes)
            lines.append(rf"\par\smallskip\parbox{{\linewidth}}{{\footnotesize {printed}}}")
        lines.append(r"\end{table*}")
    return "\n".join([*lines, ""])


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


def document(body: Sequence[str], preamble: Sequence[str] = ()) -> str:
    """A document for ``pdflatex``; landscape, so that wide tables keep their size."""
    return "\n".join(
        [
            r"\documentclass[10pt]{article}",
            r"\usepackage[T1]{fontenc}",
            r"\usepackage{lmodern}",
            r"\usepackage[a4paper,landscape,margin=15mm]{geometry}",
            r"\usepackage{array,booktabs,graphicx}",
            *(*preamble, r"\begin{document}", *body, r"\end{document}", ""),
        ]
    )


def preview(names: Sequence[str]) -> str:
    """A document that shows the given files: ``pdflatex preview.tex`` inside the tables folder."""
    return document([rf"\input{{{name}}}" for name in names])


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


def _constant(table: Table) -> list[int]:
    """Columns of words in a wide table whose texts are all alike."""
    if len(table.columns) < WIDE or len(table.rows) < 2:
        return []
    return [
        i
        for i, column in enumerate(table.columns)
        if i and column.words and not column.width and len({row[i].text for row in table.rows}) == 1
    ]


def _kind(column: Column) -> str:
    if column.width:
        return rf">{{\raggedright\arraybackslash}}p{{{column.width:g}cm}}"
    return "l" if column.words else "r"


def _head(columns: Sequence[Column]) -> list[str]:
    """Headings, below those of the groups where there are any."""
    titles = _row([heading(c.heading, "l" if c.words or c.width else "r") for c in columns])
    if not any(column.group for column in columns):
        return [titles]
    groups, rules, start = [], [], 1
    for name, members in groupby(columns, lambda column: column.group):
        count = len(list(members))
        groups += [rf"\multicolumn{{{count}}}{{c}}{{{escape_latex(name)}}}"] if name else [""] * count
        rules += [rf"\cmidrule(lr){{{start}-{start + count - 1}}}"] if name else []
        start += count
    return [_row(groups), "".join(rules), titles]


def _parts(table: Table) -> Iterator[Sequence[Sequence[Entry]]]:
    """Rows that fit on one page after the other."""
    widths = {i: column.width for i, column in enumerate(table.columns) if column.width}

    def height(texts: Sequence[str]) -> int:
        return max([1, *(-(-len(texts[i]) // int(LETTERS * width)) for i, width in widths.items())])

    part: list[Sequence[Entry]] = []
    filled = 0
    for row in table.rows:
        more = height(_fresh(row, part[-1] if part else None))
        if part and filled + more > LINES:
            yield part
            part, filled = [], 0
            more = height(_fresh(row, None))
        part.append(row)
        filled += more
    yield part


def _fresh(row: Sequence[Entry], above: Sequence[Entry] | None) -> list[str]:
    """A row's texts without those that it shares, from the left on, with the row above."""
    texts = [entry.text for entry in row]
    pairs = enumerate(zip(texts, above or (), strict=False))
    same = next((i for i, (text, other) in pairs if text != other.text), 0)
    return ["" if i < same else text for i, text in enumerate(texts)]


def _body(rows: Sequence[Sequence[Entry]], kept: Sequence[int], *, apart: bool) -> list[str]:
    """The rows; with `apart`, a gap stands above each that begins something new."""
    lines: list[str] = []
    above: Sequence[Entry] | None = None
    for row in rows:
        texts = _fresh(row, above)
        if above is not None and texts[0] and apart:
            lines.append(r"\addlinespace")
        lines.append(_row([_marked(row[i]) if texts[i] else "" for i in kept]))
        above = row
    return lines


def _marked(entry: Entry) -> str:
    text = _number(f"{entry.shown} ({entry.note})" if entry.note else entry.shown)
    if entry.rank:
        text = rf"\{'textbf' if entry.rank == 1 else 'underline'}{{{text}}}"
    return rf"{text}\,{{\scriptsize$\pm$\,{entry.shown_sd}}}" if entry.shown_sd else text


def _number(text: str) -> str:
    return escape_latex(_NEGATIVE.sub("−", text))


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
