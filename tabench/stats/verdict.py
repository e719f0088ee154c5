"""Does a measured value agree with a published one? Pure arithmetic, no opinion on comparability."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Final, Literal

from tabench.stats.interval import t_interval

Word = Literal["match", "within interval", "off by", "not run", "not known"]

DEFAULT_SHARE: Final = 0.01  # this project's choice: no paper states a tolerance
DEFAULT_RULE: Final = (
    "Tolerance, where the file gives none: 1 % of the published value, and at least half a unit of its last "
    "printed digit."
)


@dataclass(frozen=True)
class Verdict:
    """A published value against the runs of its method.

    Attributes:
        word: "match" (the mean is within the tolerance), "within interval" (the published value lies in
            the 95 % t-interval of the runs), "off by", "not run", or "not known" (no published value).
        n: Runs.
        mean: Mean over runs; None without runs.
        low: Lower end of the t-interval; None with fewer than two runs.
        high: Upper end.
        difference: Mean minus published value, in the metric's unit; None if either is missing.
        tolerance: Largest difference that is a match; None where nothing is published.
    """

    word: Word
    n: int
    mean: float | None
    low: float | None
    high: float | None
    difference: float | None
    tolerance: float | None


def default_tolerance(printed: str) -> float:
    """The tolerance of a published value that has none of its own: see `DEFAULT_RULE`.

    Args:
        printed: The value as printed: its last digit counts, "52.10" is finer than "52.1".

    Raises:
        ValueError: It is not a finite number.
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

    A published value that is missing says "not known" whether or not there are runs. Runs that are not
    finite count as not run: a metric that is undefined agrees with nothing.

    Args:
        values: One value a run.
        published: The published value; None where none is known.
        tolerance: Largest difference of a match, in the metric's unit; needed with a published value.

    Raises:
        ValueError: A published value without a tolerance, or a tolerance that is negative or not finite.
    """
    finite = [value for value in values if math.isfinite(value)]
    interval = t_interval(finite) if finite else None
    several = interval is not None and len(finite) > 1
    mean = interval.mean if interval else None
    low = interval.mean - interval.half_width if interval and several else None
    high = interval.mean + interval.half_width if interval and several else None
    if published is None:
        return Verdict("not known", len(finite), mean, low, high, None, None)
    if tolerance is None or not math.isfinite(tolerance) or tolerance < 0:
        raise ValueError(f"a tolerance must be a finite number of at least 0, not {tolerance}")
    if mean is None:
        return Verdict("not run", 0, None, None, None, None, tolerance)
    difference = mean - published
    word: Word = "off by"
    # decimal numbers are not exact in binary: 52.6 is 0.5 above 52.1, not a hair more
    if abs(difference) <= tolerance or math.isclose(abs(difference), tolerance, rel_tol=1e-9):
        word = "match"
    elif low is not None and high is not None and low <= published <= high:
        word = "within interval"
    return Verdict(word, len(finite), mean, low, high, difference, tolerance)
