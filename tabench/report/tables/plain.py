"""A results table as Markdown and as CSV."""

from __future__ import annotations

from tabench.report.tables.frames import Entry, Table
from tabench.text import no_formula

CSV_COLUMNS = (
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
    head = ["Method", *(escape_markdown(f"{c.group}: {c.heading}") for c in table.columns), "Seeds"]
    caption = f"{table.caption} {table.warning}".strip()
    lines = [
        f"**{escape_markdown(table.number)}.** {escape_markdown(caption)}",
        "",
        _line(head),
        _line([":--", *("--:" for _ in table.columns), "--:"]),
    ]
    for method in table.methods:
        cells = [_marked(table.entry(method, column.id)) for column in table.columns]
        lines.append(_line([escape_markdown(table.titles[method]), *cells, table.seeds[method]]))
    return "\n".join([*lines, "", *(f"- {escape_markdown(note)}" for note in table.notes), ""])


def csv(table: Table) -> str:
    """One line an entry: the text the other formats print, and the full numbers behind it.

    The notes stand first, each on a line that starts with "#" (``pandas.read_csv(..., comment="#")``).
    """
    frame = table.frame.assign(
        n=[len(points) for points in table.frame["points"]],
        runs=[" ".join(point.cell_id for point in points) for points in table.frame["points"]],
        unit=[_column(table, name)[0] for name in table.frame["column"]],
        better=[_column(table, name)[1] for name in table.frame["column"]],
    )
    named = frame.rename(columns={"half": "t95_half_width"})[list(CSV_COLUMNS)]
    named = named.map(lambda value: no_formula(value) if isinstance(value, str) else value)
    notes = [
        f"# {' '.join(note.split())}\n"
        for note in (f"{table.number}. {table.caption} {table.warning}", *table.notes)
    ]
    return "".join(notes) + str(named.to_csv(index=False, float_format="%.8g", lineterminator="\n"))


def _column(table: Table, name: str) -> tuple[str, str]:
    column = next(column for column in table.columns if column.id == name)
    return column.unit, column.better


def _marked(entry: Entry) -> str:
    text = escape_markdown(entry.text)
    return {1: f"**{text}**", 2: f"<u>{text}</u>"}.get(entry.rank, text)


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"
