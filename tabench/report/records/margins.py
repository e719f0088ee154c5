"""How far two runs of one cell may be apart and still be repeats, from runs repeated on several machines."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tabench.errors import StoreError
from tabench.report.records.circumstances import circumstances
from tabench.report.records.differences import differences
from tabench.report.records.reading import CellResult, Results
from tabench.stats.equivalence import half_width, repeat_bound
from tabench.text import counted, inert, joined

_TOLD = ("CPU", "Threads", "PyTorch")  # circumstances that tell repeats apart
_IMAGES = "images"  # the mean over images, beside the protocols
_Values = dict[tuple[str, str], list[list[float]]]  # metric and protocol to values, one list a cell


@dataclass(frozen=True)
class Margins:
    """What an experiment file declares as `repeats` of a profile."""

    profile: str
    margins: dict[str, float]  # "task.metric" to the margin of one run, in the metric's unit
    source: str

    @property
    def toml(self) -> str:
        """The lines of an experiment file."""
        head = f"[profiles.{self.profile}.repeats]\nsource = {_quoted(self.source)}\n"
        lines = [f"{_quoted(name)} = {margin!r}" for name, margin in self.margins.items()]
        return "\n".join([head, f"[profiles.{self.profile}.repeats.margins]", *lines, ""])


def margins(repeats: Sequence[Results]) -> Margins:
    """Derive the margins from results folders that hold runs of the same cells.

    A metric's margin is the bound that two repeats stay within in all comparisons together (`repeat_bound`),
    the widest of its protocols and of the mean over images, and on it half the width of the interval over
    images, so that a repeat passes the test, too. A metric that no repeat moves gets none.

    Raises:
        StoreError: No cell is in two of the folders, or all runs are identical.
    """
    held = [{cell.id: cell for cell in results.done} for results in repeats]
    runs = [
        [cells[name] for cells in held if name in cells] for name in dict.fromkeys(n for c in held for n in c)
    ]
    runs = [cells for cells in runs if len(cells) > 1]
    hint = "give results of the same cells from other machines or thread counts"
    if not runs:
        raise StoreError("no cell was run twice", where=str(repeats[0].root), hint=hint)
    values: _Values = {}
    widths: dict[str, list[float]] = {}
    for cells in runs:
        _collect(cells, values, widths)
    names = list(dict.fromkeys(name for name, _ in values))
    found = {}
    for name in names:
        of_metric = [lists for (metric, _), lists in values.items() if metric == name]
        bound = max(repeat_bound(lists, len(runs) * len(names)) for lists in of_metric)
        if bound > 0:
            found[name] = _upwards(bound + math.sqrt(float(np.mean(np.square(widths.get(name, [0.0]))))))
    if not found:
        raise StoreError(
            "all repeats are identical: no margin is needed", where=str(repeats[0].root), hint=hint
        )
    told = "; ".join(f"{results.root.name}: {_machine(results)}" for results in repeats)
    source = f"{counted(len(runs), 'cell')} repeated in {len(repeats)} results folders ({told})"
    return Margins(repeats[0].profile or "demo", found, source)


def _collect(cells: Sequence[CellResult], values: _Values, widths: dict[str, list[float]]) -> None:
    """Add what the runs of one cell say; the first one's values count as 0, as only differences do."""
    mine: dict[tuple[str, str], list[float]] = {}
    for cell in cells[1:]:
        for name, metric in differences(cell, cells[0]).metrics.items():
            found = dict(metric.reported)
            images = metric.images[1] if metric.images is not None else np.zeros(0)
            images = images[~np.isnan(images)]
            if images.size > 1:
                found[_IMAGES] = float(images.mean())
                widths.setdefault(name, []).append(half_width(images))
            for what, difference in found.items():
                mine.setdefault((name, what), [0.0]).append(difference)
    for key, repeated in mine.items():
        if all(map(math.isfinite, repeated)):  # not where only some of the runs define it
            values.setdefault(key, []).append(repeated)


def _machine(results: Results) -> str:
    known = circumstances(results)
    return ", ".join(f"{title} {joined(known[title])}" for title in _TOLD if title in known)


def _upwards(value: float) -> float:
    """Two significant digits, never less than the value."""
    step = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / step) * step:.2g}")


def _quoted(text: str) -> str:
    """A TOML string: JSON's escapes are TOML's, where neither has a character beyond 16 bits to escape."""
    return json.dumps(inert(text), ensure_ascii=False)
