"""Tests of two methods over the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_CHUNK = 1 << 22  # resampled values held at once


@dataclass(frozen=True)
class Comparison:
    """A method against a baseline over images.

    Attributes:
        n: Images that both have a value for.
        difference: Mean of method - baseline, in the metric's unit.
        low: Lower end of the bootstrap interval of the difference.
        high: Upper end.
        p_value: Two-sided Wilcoxon signed-rank p-value, not corrected for other tests.
    """

    n: int
    difference: float
    low: float
    high: float
    p_value: float


def compare(
    method: Mapping[str, float | None],
    baseline: Mapping[str, float | None],
    *,
    confidence: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Comparison:
    """Compare two methods image by image.

    Args:
        method: Image id to value; None or NaN where the metric is undefined.
        baseline: The same of the baseline. Images only one of them has are left out.
        confidence: Coverage of the interval.
        resamples: Bootstrap samples.
        seed: Seed of the bootstrap.
    """
    differences = np.array(
        [
            value - other
            for image, value in sorted(method.items())
            if value is not None and (other := baseline.get(image)) is not None
        ],
        dtype=np.float64,
    )
    differences = differences[np.isfinite(differences)]
    if not differences.size:
        return Comparison(0, math.nan, math.nan, math.nan, math.nan)
    low, high = bootstrap_mean(differences, confidence=confidence, resamples=resamples, seed=seed)
    return Comparison(differences.size, float(differences.mean()), low, high, wilcoxon(differences))


def wilcoxon(differences: Floats) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; zero differences are dropped, all zero gives 1."""
    differences = differences[differences != 0]
    if not differences.size:
        return 1.0
    from scipy import stats

    return float(stats.wilcoxon(differences).pvalue)


def bootstrap_mean(
    values: Floats, *, confidence: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean; the same seed gives the same interval."""
    generator = np.random.Generator(np.random.Philox(seed))
    rows = max(1, _CHUNK // values.size)
    means = [
        values[generator.integers(values.size, size=(min(rows, resamples - start), values.size))].mean(axis=1)
        for start in range(0, resamples, rows)
    ]
    tail = (1 - confidence) / 2
    low, high = np.quantile(np.concatenate(means), [tail, 1 - tail])
    return float(low), float(high)


def mean_over_seeds(columns: Sequence[Mapping[str, float | None]]) -> dict[str, float]:
    """Average an image's value over runs; images that a run has no value for are left out.

    Seeds are averaged first because the images, not the seeds, are the sample of a paired test.
    """
    if not columns:
        return {}
    averages: dict[str, float] = {}
    for image in columns[0]:
        values = [value for column in columns if (value := column.get(image)) is not None]
        if len(values) == len(columns) and not any(math.isnan(value) for value in values):
            averages[image] = math.fsum(values) / len(values)
    return averages


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjustment: reject where the result is below the family-wise level.

    NaN stays NaN and does not count as a test.
    """
    order = sorted((i for i, p in enumerate(p_values) if not math.isnan(p)), key=lambda i: p_values[i])
    adjusted = [math.nan] * len(p_values)
    highest = 0.0
    for place, index in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - place) * p_values[index]))
        adjusted[index] = highest
    return adjusted
