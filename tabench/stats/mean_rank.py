"""Places of methods in many comparisons, and their mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import rankdata


def places(values: Sequence[float], better: str) -> list[float]:
    """Place of each value, 1 the best; equal values share the mean of the places they take.

    Args:
        values: One comparison, none of them missing.
        better: "higher" or "lower".

    Raises:
        ValueError: `better` is another word, or a value is NaN.
    """
    if better not in ("higher", "lower"):
        raise ValueError(f"better must be 'higher' or 'lower', not '{better}'")
    column = np.asarray(values, dtype=np.float64)
    if np.isnan(column).any():
        raise ValueError("a value is NaN")
    return [float(place) for place in rankdata(-column if better == "higher" else column, method="average")]


def mean_places(comparisons: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Mean place of each competitor over comparisons that all of them take part in.

    Raises:
        ValueError: Two comparisons have other competitors.
    """
    if not comparisons:
        return {}
    names = list(comparisons[0])
    if any(set(comparison) != set(names) for comparison in comparisons):
        raise ValueError("not every comparison has the same competitors")
    return {name: float(np.mean([comparison[name] for comparison in comparisons])) for name in names}
