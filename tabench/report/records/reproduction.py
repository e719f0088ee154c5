"""Comparison with the reference records that are shipped: the same cells, run somewhere else."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from tabench.errors import StoreError
from tabench.report.records.reading import Results, read_results


@dataclass(frozen=True)
class Reproduced:
    """How close a method's runs are to the reference runs of the same cells.

    Attributes:
        method: Row key.
        cells: Cells compared.
        numbers: Metric values compared.
        identical: How many of them are equal.
        weights: Cells whose trained weights have the same sha256.
        largest: Metric with unit to its largest absolute difference over the cells.
    """

    method: str
    cells: int
    numbers: int
    identical: int
    weights: int
    largest: Mapping[str, float]

    @property
    def worst(self) -> str:
        """The metrics that differ, largest differences in words; "none" if all are equal."""
        differing = {name: value for name, value in self.largest.items() if value > 0}
        return ", ".join(f"{name} {value:.3g}" for name, value in differing.items()) or "none"


def reproduced(results: Results) -> list[Reproduced] | None:
    """Compare with ``<results>/reference/<experiment>``; None if there are no reference records.

    Cells are compared by id, so only runs of exactly the same specification, data and weights meet.
    """
    folder = results.root / "reference"
    if not (folder / results.name).is_dir():
        return None
    try:
        reference = {cell.id: cell.record for cell in read_results(folder, results.name).done}
    except StoreError:
        return None
    rows = []
    for method in results.methods:
        pairs = [(cell.record, reference[cell.id]) for cell in results.of(method) if cell.id in reference]
        if not pairs:
            continue
        largest: dict[str, float] = {}
        numbers = identical = 0
        for mine, theirs in pairs:
            other = {_name(m): m["value"] for m in theirs["metrics"]}
            for metric in mine["metrics"]:
                name, value = _name(metric), metric["value"]
                if name not in other:
                    continue
                difference = _difference(value, other[name])
                numbers += 1
                identical += difference == 0
                largest[name] = max(largest.get(name, 0.0), difference)
        weights = sum(mine["weights_sha256"] == theirs["weights_sha256"] for mine, theirs in pairs)
        rows.append(Reproduced(method, len(pairs), numbers, identical, weights, largest))
    return rows


def _name(metric: Mapping[str, object]) -> str:
    unit = f" ({metric['unit']})" if metric["unit"] else ""
    return f"{metric['task']} {metric['title']}{unit}, {metric['protocol']}"


def _difference(mine: float | None, theirs: float | None) -> float:
    if mine is None or theirs is None:
        return 0.0 if mine is theirs else math.inf
    return abs(mine - theirs)
