"""A plain table of texts as LaTeX: as many floats as its rows need pages, in letters that can be read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tabench.report.tables.latex import escape_latex, heading
from tabench.report.tables.sheet import Sheet

WIDE = 9  # columns from which those that say the same in every row move below the table
LINES = 38  # of small print on a page, beside caption and notes
LETTERS = 6.2  # a centimetre of small print
_NEGATIVE = re.compile(r"(?<![\w.-])-(?=\d)")
_NUMBER = re.compile(r"[<+−-]?\d")
_NONE = ("", "–", "n/a", "not known", "not recorded")


def latex(sheet: Sheet) -> str:
    r"""``table*`` floats; they need the packages booktabs, array and graphicx.

    Columns with one text in every row of a wide table stand below it. A text that a row shares with the
    row above, together with all to its left, is printed once. Parts after the first keep its number.
    """
    constant = _constant(sheet)
    kept = [i for i in range(len(sheet.headings)) if i not in constant]
    said = [f"{sheet.headings[i]}: {sheet.rows[0][i]} in every row." for i in constant]
    notes = [*([" ".join(said)] if said else []), *sheet.notes]
    kinds = "".join(_kind(sheet, i) for i in kept)
    head = _row([heading(sheet.headings[i], side="r" if _kind(sheet, i) == "r" else "l") for i in kept])
    parts = list(_parts(sheet))
    lines = ["% Needs \\usepackage{array,booktabs,graphicx}."]
    for number, rows in enumerate(parts):
        later = number > 0
        text = escape_latex(sheet.caption)
        caption = f"[]{{{text} (Continued.)}}" if later else f"{{{text}}}"
        lines += [
            r"\begin{table*}[tbp]",
            *([r"\addtocounter{table}{-1}"] if later else []),
            r"\centering",
            rf"\caption{caption}",
            *([] if later else [rf"\label{{tab:{'-'.join(filter(None, (sheet.experiment, sheet.name)))}}}"]),
            r"\footnotesize\setlength{\tabcolsep}{4pt}%",
            r"\resizebox{\ifdim\width>\linewidth\linewidth\else\width\fi}{!}{%",
            rf"\begin{{tabular}}{{{kinds}}}",
            r"\toprule",
            head,
            r"\midrule",
            *_body(rows, kept, apart=0 in sheet.prose),
            r"\bottomrule",
            r"\end{tabular}}",
        ]
        if notes and number == len(parts) - 1:
            printed = r"\\ ".join(escape_latex(note) for note in notes)
            lines.append(rf"\par\smallskip\parbox{{\linewidth}}{{\footnotesize {printed}}}")
        lines.append(r"\end{table*}")
    return "\n".join([*lines, ""])


def _constant(sheet: Sheet) -> list[int]:
    """Columns of a wide table whose texts are all alike."""
    if len(sheet.headings) < WIDE or len(sheet.rows) < 2:
        return []
    columns = range(1, len(sheet.headings))
    return [i for i in columns if len({row[i] for row in sheet.rows}) == 1 and i not in sheet.prose]


def _kind(sheet: Sheet, column: int) -> str:
    if column in sheet.prose:
        return rf">{{\raggedright\arraybackslash}}p{{{sheet.prose[column]:g}cm}}"
    texts = [row[column] for row in sheet.rows]
    numbers = [bool(_NUMBER.match(text)) for text in texts if text not in _NONE]
    return "r" if numbers and all(numbers) else "l"


def _parts(sheet: Sheet) -> Iterator[Sequence[Sequence[str]]]:
    """Rows that fit on one page after the other."""
    part: list[Sequence[str]] = []
    filled = 0
    for row in sheet.rows:
        shown = _fresh(row, part[-1]) if part else row
        height = max([1, *(_height(shown[i], width) for i, width in sheet.prose.items())])
        if part and filled + height > LINES:
            yield part
            part, filled = [], 0
            height = max([1, *(_height(row[i], width) for i, width in sheet.prose.items())])
        part.append(row)
        filled += height
    yield part


def _height(text: str, width: float) -> int:
    """Lines of a text in a column of a width in cm."""
    return -(-len(text) // int(LETTERS * width))


def _fresh(row: Sequence[str], above: Sequence[str]) -> list[str]:
    """A row without the texts that it shares, from the left on, with the row above."""
    same = next((i for i, (a, b) in enumerate(zip(row, above, strict=True)) if a != b), 0)
    return ["" if i < same else text for i, text in enumerate(row)]


def _body(rows: Sequence[Sequence[str]], kept: Sequence[int], *, apart: bool) -> list[str]:
    """The rows; with `apart`, a gap stands above each that begins something new."""
    lines: list[str] = []
    above: Sequence[str] | None = None
    for row in rows:
        shown = list(row) if above is None else _fresh(row, above)
        if above is not None and shown[0] and apart:
            lines.append(r"\addlinespace")
        lines.append(_row([escape_latex(_NEGATIVE.sub("−", shown[i])) for i in kept]))
        above = row
    return lines


def _row(cells: Sequence[str]) -> str:
    return " & ".join(cells) + r" \\"
