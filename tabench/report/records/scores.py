"""The values behind a table's entries: one point a run, with the run it comes from."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tabench.report.records.reading import CellResult, Results
from tabench.report.records.wording import FEW
from tabench.stats.delta_b import delta_b
from tabench.text import few

DELTA_DIGITS = 2


@dataclass(frozen=True, slots=True)
class Point:
    """One run's value.

    Attributes:
        seed: The run's seed.
        cell_id: The run.
        value: In the metric's unit.
    """

    seed: int
    cell_id: str
    value: float


def metric_points(results: Results, method: str, column: str, protocol: str) -> tuple[list[Point], str]:
    """Values of "task.key" over a method's runs, and why some are missing ("" if none is)."""
    points, undefined = [], []
    for cell in results.of(method):
        value = _values(cell, protocol).get(column)
        if value is None:
            undefined.append(cell.label)
        else:
            points.append(_point(cell, value))
    reason = f"undefined in protocol “{protocol}” for {few(undefined, FEW)}" if undefined else ""
    return points, reason


def parameter_points(results: Results, method: str) -> list[Point]:
    """Trained parameters in millions; parameters that never receive a gradient do not count."""
    return [_point(cell, cell.record["parameters"]["trained"] / 1e6) for cell in results.of(method)]


def deltas(
    results: Results, method: str, baseline: str, protocol: str, variant: str = "libmtl"
) -> tuple[list[Point], str]:
    """Delta_b in percent, each run against the baseline's run of the same seed."""
    by_seed = {cell.seed: cell for cell in results.of(baseline)}
    directions = {
        (m["task"], m["key"]): str(m["better"]) for m in results.first["metrics"] if m["protocol"] == protocol
    }
    names = [f"{task}.{key}" for task, key in directions]
    points, missing, undefined = [], [], set()
    for cell in results.of(method):
        other = by_seed.get(cell.seed)
        if other is None:
            missing.append(str(cell.seed))
            continue
        mine, theirs = _values(cell, protocol), _values(other, protocol)
        absent = [name for name in names if mine.get(name) is None or theirs.get(name) is None]
        if absent:
            undefined.update(absent)
            continue
        change = delta_b(cell.nested.get(protocol, {}), other.nested.get(protocol, {}), directions, variant)
        if math.isnan(change):
            undefined.add("a change from 0")
        else:
            points.append(_point(cell, change))
    reasons = []
    if missing:
        reasons.append(f"{results.title(baseline)} has no finished run with seed {few(missing, FEW)}")
    if undefined:
        reasons.append(f"{', '.join(sorted(undefined))} undefined in protocol “{protocol}”")
    return points, "; ".join(reasons)


def _point(cell: CellResult, value: float) -> Point:
    return Point(int(cell.seed or 0), cell.id, float(value))


def _values(cell: CellResult, protocol: str) -> Mapping[str, Any]:
    return cell.values.get(protocol, {})
