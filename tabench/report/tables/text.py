"""A table as Markdown and as CSV."""

from __future__ import annotations

import csv as csv_module
import io
from collections.abc import Iterable, Sequence

from tabench.report.tables.table import Entry, Table
from tabench.text import no_formula

TIDY = (
    *("method", "column", "unit", "better", "shown", "shown_sd", "rank", "n"),
    *("mean", "sd", "t95_half_width", "runs", "reason"),
)
_SPECIAL = "\\`*_[]<>|#"


def escape_markdown(text: str) -> str:
    """Make a name inert inside a Markdown table."""
    kept = "".join("\\" + letter if letter in _SPECIAL else letter for letter in text)
    return " ".join(kept.split())


def markdown(table: Table) -> str:
    """GitHub-flavoured Markdown: best bold, second underlined."""
    sides = [":--" if column.words else "--:" for column in table.columns]
    lines = [
        f"**{escape_markdown(table.title)}.** {escape_markdown(table.whole_caption)}",
        "",
        _line(escape_markdown(column.whole) for column in table.columns),
        _line(sides),
        *(_line(map(_marked, row)) for row in table.rows),
    ]
    return "\n".join([*lines, "", *(f"- {escape_markdown(note)}" for note in table.notes), ""])


def csv(table: Table) -> str:
    """What the other formats print; of values over runs one line an entry, with the full numbers behind it.

    Caption and notes stand first, each on a line that starts with "#"
    (``pandas.read_csv(..., comment="#")``).
    """
    file = io.StringIO()
    for note in (f"{table.title}. {table.caption} {table.warning}", *table.notes):
        file.write(f"# {' '.join(note.split())}\n")
    writer = csv_module.writer(file, lineterminator="\n")
    if table.keys:
        writer.writerow(TIDY)
        writer.writerows(_tidy(table))
    else:
        writer.writerow([column.whole for column in table.columns])
        writer.writerows([no_formula(entry.text) for entry in row] for row in table.rows)
    return file.getvalue()


def _tidy(table: Table) -> Iterable[Sequence[str]]:
    for key in table.keys:
        for column in table.valued:
            entry = table.entry(key, column.id)
            texts = (key, column.id, column.unit, column.better, entry.shown, entry.shown_sd)
            exact = (entry.value if entry.points else None, entry.sd, entry.half)
            numbers = ("" if value is None else f"{value:.8g}" for value in exact)
            yield [
                *map(no_formula, texts),
                *(str(entry.rank), str(len(entry.points)), *numbers),
                *(" ".join(point.cell_id for point in entry.points), no_formula(entry.reason)),
            ]


def _marked(entry: Entry) -> str:
    text = escape_markdown(entry.text)
    return {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(entry.rank, text)


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
