"""Places of methods in a column, and their mean over many comparisons."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np


def _check(better: str) -> None:
    if better not in ("higher", "lower"):
        raise ValueError(f"better must be 'higher' or 'lower', not '{better}'")


def rank(values: Sequence[float | None], better: str) -> list[int]:
    """Mark the best (1) and the second best (2) values of a column.

    Pass values as they are shown: equal ones share a mark, so two entries that print the same
    number are never told apart.

    Args:
        values: A column; None and NaN take no part.
        better: "higher" or "lower".

    Returns:
        1, 2 or 0 for each value. With fewer than two entries nothing is marked.

    Raises:
        ValueError: `better` is another word.
    """
    _check(better)
    present = [value for value in values if value is not None and not math.isnan(value)]
    if len(present) < 2:
        return [0] * len(values)
    distinct = sorted(set(present), reverse=better == "higher")
    marks = {value: place for place, value in enumerate(distinct[:2], start=1)}
    return [0 if value is None else marks.get(value, 0) for value in values]


def places(values: Sequence[float], better: str) -> list[float]:
    """Place of each value, 1 the best; equal values share the mean of the places they take.

    Args:
        values: One comparison, none of them missing.
        better: "higher" or "lower".

    Raises:
        ValueError: `better` is another word, or a value is NaN.
    """
    from scipy.stats import rankdata

    _check(better)
    column = np.asarray(values, dtype=np.float64)
    if np.isnan(column).any():
        raise ValueError("a value is NaN")
    return [float(place) for place in rankdata(-column if better == "higher" else column, method="average")]


def mean_places(comparisons: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean place of each competitor over comparisons that all of them take part in.

    Raises ValueError: two comparisons have other competitors.
    """
    if not comparisons:
        return {}
    names = list(comparisons[0])
    if any(set(comparison) != set(names) for comparison in comparisons):
        raise ValueError("not every comparison has the same competitors")
    return {name: float(np.mean([comparison[name] for comparison in comparisons])) for name in names}
