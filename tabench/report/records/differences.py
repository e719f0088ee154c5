"""Two runs of one cell, number by number and image by image."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tabench.report.records.reading import CellResult
from tabench.stats.paired import Floats


class MetricDifference(NamedTuple):
    """One metric of two runs of a cell: here minus there; infinite where only one of them defines it."""

    reported: dict[str, float]  # protocol to difference
    images: tuple[tuple[str, ...], Floats] | None  # ids and differences; None if one has no such values
    weights: bool  # whether the trained weights are the same

    @property
    def identical(self) -> bool:
        """Whether nothing differs. Without values of images, equal weights must speak for the rest."""
        if any(self.reported.values()):
            return False
        return self.weights if self.images is None else not np.nan_to_num(self.images[1]).any()


class RunDifference(NamedTuple):
    """Two runs of one cell."""

    metrics: dict[str, MetricDifference]
    weights: bool

    @property
    def reported(self) -> list[float]:
        """The differences of all reported numbers."""
        return [value for metric in self.metrics.values() for value in metric.reported.values()]

    @property
    def identical(self) -> bool:
        """Whether nothing differs in any metric."""
        return all(metric.identical for metric in self.metrics.values())


def differences(here: CellResult, there: CellResult) -> RunDifference:
    """Compare two runs of one cell, images included. Raises StoreError: a record cannot be read any more."""
    one, other = here.whole(), there.whole()
    weights = one["weights_sha256"] == other["weights_sha256"]
    values = [
        {(metric_name(m), m["protocol"]): m["value"] for m in record["metrics"]} for record in (one, other)
    ]
    reported: dict[str, dict[str, float]] = {}
    for name, protocol in {**values[0], **values[1]}:
        difference = _difference(*(held.get((name, protocol)) for held in values))
        # what neither defines is equal
        reported.setdefault(name, {})[protocol] = 0.0 if math.isnan(difference) else difference
    ids = tuple(one["per_image"]["ids"])
    found = {}
    for name, mine in reported.items():
        task, _, key = name.partition(".")
        a, b = (record["per_image"]["values"].get(task, {}).get(key) for record in (one, other))
        images = None
        if a is not None and b is not None and ids == tuple(other["per_image"]["ids"]):
            images = ids, np.array([_difference(*pair) for pair in zip(a, b, strict=True)], np.float64)
        found[name] = MetricDifference(mine, images, weights)
    return RunDifference(found, weights)


def _difference(here: float | None, there: float | None) -> float:
    if here is None or there is None:
        return math.nan if here is there else math.inf
    return here - there


def metric_name(metric: Mapping[str, Any]) -> str:
    """What a metric of a record is called: "depth.abs_err"."""
    return f"{metric['task']}.{metric['key']}"
