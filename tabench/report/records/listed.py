"""Which runs a report lists and gives a page of their own, where there are too many for all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from typing import Any, Protocol, TypeVar

RUN_PAGES = 1000  # a page is 25 kB and takes 3 ms: 20,000 of them are half a gigabyte and minutes


class Run(Protocol):
    """What the choice goes by."""

    @property
    def id(self) -> str:
        """Cell id."""

    @property
    def method(self) -> str:
        """Row of the tables."""

    @property
    def seed(self) -> int | None:
        """Seed, if it is known."""

    @property
    def state(self) -> str:
        """As a cell is, "pending" where nothing is known."""

    @property
    def record(self) -> Mapping[str, Any]:
        """Empty unless it finished."""


Kind = TypeVar("Kind", bound=Run)


def listed(cells: Sequence[Kind], limit: int) -> list[Kind]:
    """At most `limit` runs, in their order.

    Those that did not finish come first, up to half of it: somebody has to look at them. The rest goes to the
    rows of the tables in turn, lowest seeds first, as the cards behind a table's numbers name them.
    """
    if len(cells) <= limit:
        return list(cells)
    open_ = [cell for cell in cells if not cell.record]
    open_.sort(key=lambda cell: cell.state == "pending")  # nothing is known of these
    chosen = {cell.id for cell in open_[: limit // 2]}
    rows: dict[str, list[Kind]] = {}
    for cell in sorted((cell for cell in cells if cell.record), key=lambda cell: (cell.seed or 0, cell.id)):
        rows.setdefault(cell.method, []).append(cell)
    for cell in _in_turn(rows.values()):
        if len(chosen) == limit:
            break
        chosen.add(cell.id)
    return [cell for cell in cells if cell.id in chosen]


def _in_turn(rows: Iterable[Sequence[Kind]]) -> Iterable[Kind]:
    return (cell for turn in zip_longest(*rows) for cell in turn if cell is not None)
