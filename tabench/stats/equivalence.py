"""Are two runs of one cell equal within what repeating does to it? A test over images, and its margin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from tabench.stats.paired import Floats

LEVEL: Final = 0.05


@dataclass(frozen=True)
class Equivalence:
    """Two one-sided paired t-tests (TOST) of "the mean difference is within the margin"."""

    n: int  # images
    difference: float  # mean over images, in the metric's unit; NaN without any
    low: float  # lower end of the 90 % t-interval of the difference; NaN with fewer than two images
    high: float  # upper end
    margin: float
    p_value: float  # the larger of the two; NaN with fewer than two images

    @property
    def equal(self) -> bool:
        """Whether the difference is shown to be within the margin, at the 5 % level."""
        return self.p_value < LEVEL

    @property
    def different(self) -> bool:
        """Whether it is shown to be beyond the margin: the whole 90 % interval is."""
        return self.low > self.margin or self.high < -self.margin


def tost(differences: Floats, margin: float) -> Equivalence:
    """Test a sample of differences against a margin on either side of 0 (Schuirmann, 1987).

    Raises ValueError: the margin is not a finite number above 0.
    """
    if not (math.isfinite(margin) and margin > 0):
        raise ValueError(f"a margin must be a finite number above 0, not {margin}")
    n, mean = differences.size, float(differences.mean()) if differences.size else math.nan
    if n < 2:
        return Equivalence(n, mean, math.nan, math.nan, margin, math.nan)
    from scipy.special import stdtr

    half, error = half_width(differences), _standard_error(differences)
    inside = margin - abs(mean)  # from the mean to the nearer end: the other one-sided test is never larger
    # equal differences have no spread to test with: they lie on one side of the margin or on the other
    p_value = float(stdtr(n - 1, -inside / error)) if error else float(inside <= 0)
    return Equivalence(n, mean, mean - half, mean + half, margin, p_value)


def half_width(differences: Floats) -> float:
    """Half the width of the 90 % t-interval of a mean: that of two one-sided tests at 5 %."""
    from scipy.special import stdtrit

    return float(stdtrit(differences.size - 1, 1 - LEVEL)) * _standard_error(differences)


def _standard_error(values: Floats) -> float:
    # of equal values exactly 0: their mean in floats may differ from them by a last bit
    return float(values.std(ddof=1)) / math.sqrt(values.size) if np.ptp(values) else 0.0


def repeat_bound(repeats: Sequence[Sequence[float]], comparisons: int) -> float:
    """A bound that the difference of two repeats stays within, in all of many comparisons together.

    `repeats` has the values that each of several cells had when it was run again with nothing changed but the
    machine, at least two. With 95 % confidence, at least 95 % of whole sets of `comparisons` differences stay
    within the bound: a tolerance limit of a normal distribution around 0 whose variance is pooled over the
    cells, at the level of one comparison by Bonferroni. Raises ValueError: nothing was repeated.
    """
    cells = [np.asarray(values, dtype=np.float64) for values in repeats if len(values) > 1]
    freedom = sum(values.size - 1 for values in cells)
    if not freedom:
        raise ValueError("no cell has two repeats")
    from scipy.special import chdtri, ndtri

    variance = math.fsum(float(((values - values.mean()) ** 2).sum()) for values in cells) / freedom
    # a variance from few repeats may be too small by chance: its upper 95 % limit takes its place
    worst = variance * freedom / float(chdtri(freedom, 1 - LEVEL))
    return float(ndtri(1 - LEVEL / (2 * comparisons))) * math.sqrt(2 * worst)
