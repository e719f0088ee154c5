"""Places of methods in a column, and their mean over many comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np


def rank(values: Sequence[float | None], better: str) -> list[int]:
    """Mark the best (1) and the second best (2) values of a column; 0 marks the others, None and NaN.

    Pass values as they are shown: equal ones share a mark, so two entries that print the same number are
    never told apart. With fewer than two entries nothing is marked. Raises ValueError: `better` is not
    "higher" or "lower".
    """
    _check(better)
    present = {value for value in values if value is not None and not math.isnan(value)}
    if sum(value in present for value in values) < 2:
        return [0] * len(values)
    marks = {value: mark for mark, value in enumerate(sorted(present, reverse=better == "higher")[:2], 1)}
    return [0 if value is None else marks.get(value, 0) for value in values]


def places(values: Sequence[float], better: str) -> list[float]:
    """Place of each value of one comparison, 1 the best; equal values share the mean of the places they take.

    Raises ValueError: `better` is not "higher" or "lower", or a value is NaN.
    """
    from scipy.stats import rankdata

    _check(better)
    column = np.asarray(values, dtype=np.float64)
    if np.isnan(column).any():
        raise ValueError("a value is NaN")
    return [float(place) for place in rankdata(-column if better == "higher" else column)]


def mean_places(comparisons: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean place of each competitor over comparisons that all take part in. Raises ValueError: not all do."""
    names = list(comparisons[0]) if comparisons else []
    if any(set(comparison) != set(names) for comparison in comparisons):
        raise ValueError("not every comparison has the same competitors")
    return {name: float(np.mean([comparison[name] for comparison in comparisons])) for name in names}


def _check(better: str) -> None:
    if better not in ("higher", "lower"):
        raise ValueError(f"better must be 'higher' or 'lower', not '{better}'")
