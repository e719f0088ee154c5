"""What a few seeds say: a t-interval, a side of a threshold, agreement with a published value.

Pure arithmetic: whether two values may be compared at all is judged elsewhere.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal, NamedTuple

from tabench.stats.paired import holm

Decided = Literal["supported", "not supported", "undecided"]
Direction = Literal["above", "within"]
Agreement = Literal["match", "within interval", "off by", "not run", "not known"]

CONFIDENCE: Final = 0.95
FEWEST: Final = 3  # runs: with fewer a t-interval says next to nothing
LEVEL: Final = 0.05
DEFAULT_SHARE: Final = 0.01  # this project's choice: no paper states a tolerance
DEFAULT_RULE: Final = (
    "Tolerance, where the file gives none: 1 % of the published value, and at least half a unit of its last "
    "printed digit."
)


class Interval(NamedTuple):
    """A mean and how far it may be off; in the values' unit."""

    mean: float  # arithmetic mean
    sd: float  # sample standard deviation (n - 1); NaN with one value
    half_width: float  # half the width of the two-sided t-interval; NaN with one value


def t_interval(values: Sequence[float]) -> Interval:
    """Student's 95 % t-interval of a mean over runs: t_{n-1} * sd / sqrt(n).

    A NaN makes all three results NaN. Raises ValueError: there are no values.
    """
    if not values:
        raise ValueError("an interval needs at least one value")
    if not all(math.isfinite(value) for value in values):
        return Interval(math.nan, math.nan, math.nan)
    n, mean = len(values), statistics.fmean(values)
    if n == 1:
        return Interval(mean, math.nan, math.nan)
    from scipy.special import stdtrit

    sd = statistics.stdev(values)
    return Interval(mean, sd, float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * sd / math.sqrt(n))


@dataclass(frozen=True)
class Decision:
    """Outcome of one comparison."""

    # "supported" if the 95 % t-interval lies wholly on the claimed side of the threshold, "not supported" if
    # it lies wholly on the other side, else "undecided"
    word: Decided
    n: int  # runs
    mean: float  # mean over runs, NaN without any
    low: float  # lower end of the interval; NaN with fewer than two runs
    high: float  # upper end
    # two-sided t-test of "the mean equals the threshold"; NaN with fewer than two runs, and for the direction
    # "within", which is decided by its interval
    p_value: float
    reason: str  # why nothing could be decided, "" if it could


def decide(values: Sequence[float], threshold: float, direction: Direction = "above") -> Decision:
    """Decide whether the mean of runs from independent seeds is above a threshold, or "within" it around 0.

    Raises ValueError: another direction, or "within" a threshold that is not above 0.
    """
    if direction not in ("above", "within"):
        raise ValueError(f"direction must be 'above' or 'within', not '{direction}'")
    if direction == "within" and not threshold > 0:
        raise ValueError(f"'within' needs a threshold above 0, not {threshold}")
    values = [value for value in values if math.isfinite(value)]
    nan = math.nan
    if not values:
        return Decision("undecided", 0, nan, nan, nan, nan, "not run")
    interval = t_interval(values)
    low, high = interval.mean - interval.half_width, interval.mean + interval.half_width
    p_value = nan
    if direction == "above":
        inside, outside = low > threshold, high <= threshold
        p_value = _p_value(interval.mean - threshold, interval.sd, len(values))
    else:
        inside = -threshold < low and high < threshold
        outside = high <= -threshold or low >= threshold
    word: Decided = "supported" if inside else "not supported" if outside else "undecided"
    reason = "" if word != "undecided" else "the interval reaches over the threshold"
    if len(values) < FEWEST:
        word, reason = "undecided", f"needs {FEWEST} seeds, has {len(values)}"
    return Decision(word, len(values), interval.mean, low, high, p_value, reason)


def together(decisions: Sequence[Decision]) -> Decided:
    """Decide "all of them are above the threshold" with Holm's correction over the comparisons.

    "supported" if each is, "not supported" if at least one is clearly below, else "undecided".
    """
    corrected = holm([decision.p_value for decision in decisions])
    clear = [
        decision.word if p < LEVEL else "undecided" for decision, p in zip(decisions, corrected, strict=True)
    ]
    if "not supported" in clear:
        return "not supported"
    return "supported" if clear and set(clear) == {"supported"} else "undecided"


def _p_value(distance: float, sd: float, n: int) -> float:
    if n < 2:
        return math.nan
    if sd == 0:
        return 1.0 if distance == 0 else 0.0
    from scipy.special import stdtr

    return float(2 * stdtr(n - 1, -abs(distance) / (sd / math.sqrt(n))))


@dataclass(frozen=True)
class Verdict:
    """A published value against the runs of its method."""

    # "match" (the mean is within the tolerance), "within interval" (the published value lies in the 95 %
    # t-interval of the runs), "off by", "not run", or "not known" (no published value)
    word: Agreement
    n: int  # runs
    mean: float | None  # mean over runs; None without runs
    low: float | None  # lower end of the t-interval; None with fewer than two runs
    high: float | None  # upper end
    difference: float | None  # mean minus published value, in the metric's unit; None if either is missing
    tolerance: float | None  # largest difference that is a match; None where nothing is published


def default_tolerance(printed: str) -> float:
    """The tolerance of a value that has none of its own, by its printed digits: see `DEFAULT_RULE`.

    Raises ValueError: it is not a finite number.
    """
    try:
        value = Decimal(printed.strip())
    except InvalidOperation:
        raise ValueError(f"'{printed}' is not a number") from None
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int):
        raise ValueError(f"'{printed}' is not a finite number")
    return max(DEFAULT_SHARE * abs(float(value)), float(Decimal(5).scaleb(exponent - 1)))


def verdict(values: Sequence[float], published: float | None, tolerance: float | None) -> Verdict:
    """Judge a method's runs against a published value.

    A published value of None says "not known" whether or not there are runs. Runs that are not finite count
    as not run: a metric that is undefined agrees with nothing. `tolerance` is the largest difference of a
    match, in the metric's unit. Raises ValueError: it is missing beside a published value, negative or not
    finite.
    """
    finite = [value for value in values if math.isfinite(value)]
    mean = low = high = None
    if finite:
        mean, _, half = t_interval(finite)
        low, high = (mean - half, mean + half) if len(finite) > 1 else (None, None)
    if published is None:
        return Verdict("not known", len(finite), mean, low, high, None, None)
    if tolerance is None or not math.isfinite(tolerance) or tolerance < 0:
        raise ValueError(f"a tolerance must be a finite number of at least 0, not {tolerance}")
    if mean is None:
        return Verdict("not run", 0, None, None, None, None, tolerance)
    difference = mean - published
    word: Agreement = "off by"
    # decimal numbers are not exact in binary: 52.6 is 0.5 above 52.1, not a hair more
    if abs(difference) <= tolerance or math.isclose(abs(difference), tolerance, rel_tol=1e-9):
        word = "match"
    elif low is not None and high is not None and low <= published <= high:
        word = "within interval"
    return Verdict(word, len(finite), mean, low, high, difference, tolerance)
