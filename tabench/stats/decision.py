"""Does a quantity lie on the claimed side of a threshold? Decided by a t-interval over a few seeds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from tabench.stats.interval import t_interval
from tabench.stats.paired import holm

Word = Literal["supported", "not supported", "undecided"]
Direction = Literal["above", "within"]

FEWEST: Final = 3  # runs: with fewer a t-interval says next to nothing
LEVEL: Final = 0.05


@dataclass(frozen=True)
class Decision:
    """Outcome of one comparison.

    Attributes:
        word: "supported" if the 95 % t-interval lies wholly on the claimed side of the threshold, "not
            supported" if it lies wholly on the other side, else "undecided".
        n: Runs.
        mean: Mean over runs, NaN without any.
        low: Lower end of the interval; NaN with fewer than two runs.
        high: Upper end.
        p_value: Two-sided t-test of "the mean equals the threshold"; NaN with fewer than two runs, and for
            the direction "within", which is decided by its interval.
        reason: Why nothing could be decided, "" if it could.
    """

    word: Word
    n: int
    mean: float
    low: float
    high: float
    p_value: float
    reason: str


def decide(values: Sequence[float], threshold: float, direction: Direction = "above") -> Decision:
    """Decide whether a mean is above a threshold, or within it on both sides.

    Args:
        values: One value a run, from independent seeds.
        threshold: In the values' unit; for "within" the largest distance from 0.
        direction: "above" or "within".

    Raises:
        ValueError: Another direction, or "within" a threshold that is not above 0.
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
    word: Word = "supported" if inside else "not supported" if outside else "undecided"
    reason = "" if word != "undecided" else "the interval reaches over the threshold"
    if len(values) < FEWEST:
        word, reason = "undecided", f"needs {FEWEST} seeds, has {len(values)}"
    return Decision(word, len(values), interval.mean, low, high, p_value, reason)


def together(decisions: Sequence[Decision]) -> Word:
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
