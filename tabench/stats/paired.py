"""Tests of two methods over the same images."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
_CONFIDENCE = 0.95
_RESAMPLES = 10_000
_CHUNK = 1 << 22  # resampled values held at once


@dataclass(frozen=True)
class Comparison:
    """A method against a baseline over images."""

    n: int  # images that both have a value for
    difference: float  # mean of method - baseline, in the metric's unit
    low: float  # lower end of the 95 % bootstrap interval of the difference
    high: float  # upper end
    p_value: float  # two-sided Wilcoxon signed-rank p-value, not corrected for other tests
    p_bootstrap: float  # two-sided p-value of the bootstrap that gives the interval, not corrected either
    # matched-pairs rank-biserial correlation in -1..1: the rank sum of the images where the method is larger
    # minus that of the others, as a share of both (Kerby, 2014)
    effect: float


def compare(method: Mapping[str, float | None], baseline: Mapping[str, float | None]) -> Comparison:
    """Compare two methods image by image: image id to value, None or NaN where the metric is undefined.

    Images only one of them has are left out. The bootstrap is always the same: 10,000 samples from one seed.
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
        return Comparison(0, *[math.nan] * 6)
    means = _resampled_means(differences)
    tail = (1 - _CONFIDENCE) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return Comparison(
        differences.size,
        float(differences.mean()),
        float(low),
        float(high),
        wilcoxon(differences),
        _p_of_zero(means),
        rank_biserial(differences),
    )


def wilcoxon(differences: Floats) -> float:
    """Two-sided p-value of Wilcoxon's signed-rank test; zero differences are dropped, all zero gives 1."""
    differences = differences[differences != 0]
    if not differences.size:
        return 1.0
    from scipy import stats

    return float(stats.wilcoxon(differences).pvalue)


def rank_biserial(differences: Floats) -> float:
    """Effect size of the signed-rank test in -1..1, positive where differences are mostly positive."""
    differences = differences[differences != 0]
    if not differences.size:
        return 0.0
    from scipy.stats import rankdata

    ranks = rankdata(np.abs(differences))
    return float((ranks * np.sign(differences)).sum() / ranks.sum())


def _p_of_zero(means: Floats) -> float:
    """Two-sided p-value of "the mean is 0": never 0, as the sample itself counts as one resample."""
    beyond = 1 + min(int((means <= 0).sum()), int((means >= 0).sum()))
    return min(1.0, 2 * beyond / (means.size + 1))


def _resampled_means(values: Floats) -> Floats:
    drawn = _drawn(values.size, max(1, _CHUNK // values.size))
    # in blocks, since a product turns the small integers into floats of eight times their size
    blocks = [drawn[start : start + 1024] @ values for start in range(0, _RESAMPLES, 1024)]
    means: Floats = np.concatenate(blocks) / values.size
    return means


@lru_cache(maxsize=2)
def _drawn(size: int, rows: int) -> npt.NDArray[np.uint8]:
    """How often each of `size` images is drawn in each resample; the same draw serves all metrics."""
    generator = np.random.Generator(np.random.Philox(0))
    counts = np.empty((_RESAMPLES, size), np.uint8)
    for start in range(0, _RESAMPLES, rows):
        count = min(rows, _RESAMPLES - start)
        indices = generator.integers(size, size=(count, size)) + size * np.arange(count)[:, None]
        counts[start : start + count] = np.bincount(indices.ravel(), minlength=count * size).reshape(
            count, -1
        )
    return counts


def mean_over_runs(runs: Sequence[tuple[Sequence[str], Floats]]) -> dict[str, float]:
    """Average an image's value over runs, each (image ids, values); NaN in one leaves the image out.

    Seeds are averaged first because the images, not the seeds, are the sample of a paired test.
    """
    if not runs:
        return {}
    images = runs[0][0]
    if all(ids == images for ids, _ in runs):
        values = np.stack([mine for _, mine in runs])
    else:
        held = [dict(zip(ids, mine.tolist(), strict=True)) for ids, mine in runs]
        values = np.array([[run.get(image, math.nan) for image in images] for run in held])
    columns = zip(images, values.T, strict=True)
    return {
        image: math.fsum(mine.tolist()) / len(mine) for image, mine in columns if not np.isnan(mine).any()
    }


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
