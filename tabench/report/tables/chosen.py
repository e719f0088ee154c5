"""Which rows a page and a figure show, where a sweep has very many: a legend of hundreds says nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tabench.report.records.reading import Results
from tabench.report.tables.table import Column, Table

PAGE_ROWS = 60  # of a table on a page; its files have all
FIGURE_ROWS = 30


@dataclass(frozen=True)
class Chosen:
    """Some rows of the tables.

    Attributes:
        rows: Row keys in table order.
        of: How many rows there are.
        by: What the rows are the best by, in words.
    """

    rows: Sequence[str]
    of: int
    by: str

    @property
    def sentence(self) -> str:
        """Which rows are shown, with a blank in front; "" where all are."""
        if len(self.rows) == self.of:
            return ""
        return (
            f" {len(self.rows)} of {self.of} rows are shown: what the experiment compares with, and the best "
            f"by {self.by}."
        )

    def results(self, results: Results) -> Results:
        """The results without the runs of other rows."""
        if len(self.rows) == self.of:
            return results
        kept = set(self.rows)
        return replace(results, cells=[cell for cell in results.cells if cell.method in kept])

    def table(self, table: Table) -> Table:
        """A table of these rows; places are still those among all rows."""
        if len(self.rows) == self.of:
            return table
        files = f"{self.sentence.strip()} tables/{table.name}.csv has all."
        kept = [row for key, row in zip(table.keys, table.rows, strict=True) if key in self.rows]
        return replace(table, keys=self.rows, rows=kept, notes=[*table.notes, files])


def choose(results: Results, table: Table, most: int) -> Chosen:
    """At most so many rows: baselines and the rows of the grid, then the best by the first Delta_b.

    Without a Delta_b the first metric decides.
    """
    every = list(table.keys)
    column = _deciding(table)
    if len(every) <= most or column is None:
        return Chosen(every, len(every), "")
    grid = (results.row(str(name)) for name in results.report.get("grid") or [])
    kept = dict.fromkeys([*results.baselines, *(row for row in grid if row is not None)])
    means = {m: mean for m in every if (mean := table.entry(m, column.id).value) is not None}
    best = sorted(means, key=lambda m: means[m], reverse=column.better == "higher")
    for row in [*best, *every]:
        if len(kept) >= most:
            break
        kept.setdefault(row)
    by = f"{column.group} {column.title}" + ("" if column.signed else f" ({table.protocol} protocol)")
    return Chosen([row for row in every if row in kept], len(every), by)


def _deciding(table: Table) -> Column | None:
    ranked = [c for c in table.valued if c.better and table.defined(c)]
    return next((c for c in ranked if c.signed), next(iter(ranked), None))
