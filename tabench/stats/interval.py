"""A mean over a few seeds with its t-interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple


class Interval(NamedTuple):
    """A mean and how far it may be off; in the values' unit.

    Attributes:
        mean: Arithmetic mean.
        sd: Sample standard deviation (n - 1); NaN with one value.
        half_width: Half the width of the two-sided t-interval; NaN with one value.
    """

    mean: float
    sd: float
    half_width: float


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Student's t-interval of a mean: t_{n-1} * sd / sqrt(n).

    Args:
        values: One value a run; a NaN makes all three results NaN.
        confidence: Coverage, between 0 and 1.

    Raises:
        ValueError: No values, or a confidence outside (0, 1).
    """
    if not values:
        raise ValueError("an interval needs at least one value")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie between 0 and 1, not {confidence}")
    if not all(math.isfinite(value) for value in values):
        return Interval(math.nan, math.nan, math.nan)
    n, mean = len(values), statistics.fmean(values)
    if n == 1:
        return Interval(mean, math.nan, math.nan)
    from scipy.special import stdtrit

    sd = statistics.stdev(values)
    return Interval(mean, sd, float(stdtrit(n - 1, (1 + confidence) / 2)) * sd / math.sqrt(n))
