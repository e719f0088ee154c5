"""A plain table of texts with one caption, written as LaTeX, Markdown and CSV."""

from __future__ import annotations

import csv as csv_module
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tabench.report.tables.plain import escape_markdown
from tabench.text import no_formula


@dataclass(frozen=True)
class Sheet:
    """Rows of texts; every format prints the same ones.

    Attributes:
        name: File stem.
        title: What it is called ("Claims").
        caption: One sentence, with the warning that the runs need.
        headings: One a column.
        rows: Texts from left to right.
        notes: Lines underneath.
        prose: Index of a column that holds sentences to its width in cm, where they break into lines.
        fits: Whether it fits on a page; one that does not is not written as LaTeX.
        experiment: Experiment name; with `name` the label to refer to the table by.
    """

    name: str
    title: str
    caption: str
    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    notes: Sequence[str] = ()
    prose: Mapping[int, float] = field(default_factory=dict)
    fits: bool = True
    experiment: str = ""


def markdown(sheet: Sheet) -> str:
    """GitHub-flavoured Markdown."""
    rows = [sheet.headings, [":--"] * len(sheet.headings), *sheet.rows]
    lines = [
        "| " + " | ".join(text if i == 1 else escape_markdown(text) for text in row) + " |"
        for i, row in enumerate(rows)
    ]
    head = f"**{escape_markdown(sheet.title)}.** {escape_markdown(sheet.caption)}"
    return "\n".join([head, "", *lines, "", *(f"- {escape_markdown(note)}" for note in sheet.notes), ""])


def csv(sheet: Sheet) -> str:
    """The rows; caption and notes stand first, on lines that start with "#"."""
    file = io.StringIO()
    for note in (f"{sheet.title}. {sheet.caption}", *sheet.notes):
        file.write(f"# {' '.join(note.split())}\n")
    writer = csv_module.writer(file, lineterminator="\n")
    writer.writerow(sheet.headings)
    writer.writerows([no_formula(text) for text in row] for row in sheet.rows)
    return file.getvalue()
