"""Which runs a report lists and gives a page of their own, where there are too many for all."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tabench.report.reading import CellResult, Results

RUN_PAGES = 1000  # a page is 25 kB and takes 3 ms: 20,000 of them are half a gigabyte and minutes
FILE = "tables/runs.csv"


def listed(cells: Sequence[CellResult], limit: int) -> list[CellResult]:
    """At most `limit` runs, in their order.

    Those that did not finish come first, up to half of it: somebody has to look at them. The rest goes to the
    rows of the tables in turn, lowest seeds first, as the cards behind a table's numbers name them.
    """
    if len(cells) <= limit:
        return list(cells)
    open_ = [cell for cell in cells if not cell.record]
    open_.sort(key=lambda cell: cell.state == "pending")  # nothing is known of these
    chosen = {cell.id for cell in open_[: limit // 2]}
    rows: dict[str, list[CellResult]] = {}
    for cell in sorted((cell for cell in cells if cell.record), key=lambda cell: (cell.seed or 0, cell.id)):
        rows.setdefault(cell.method, []).append(cell)
    for cell in _in_turn(rows.values()):
        if len(chosen) == limit:
            break
        chosen.add(cell.id)
    return [cell for cell in cells if cell.id in chosen]


def _in_turn(rows: Iterable[Sequence[CellResult]]) -> Iterable[CellResult]:
    return (cell for turn in zip_longest(*rows) for cell in turn if cell is not None)


def runs_csv(results: Results) -> str:
    """Every run of the experiment, one a line: what the page's list leaves out."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["run", "row", "seed", "state", "wall_s", "failure"])
    for cell in results.cells:
        seed = "" if cell.seed is None else cell.seed
        wall, failure = cell.run.get("wall_s"), cell.failure.get("kind", "")
        row = [cell.id, results.title(cell.method), seed, cell.state, "" if wall is None else wall, failure]
        lines.writerow(row)
    return text.getvalue()
