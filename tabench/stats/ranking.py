"""Which entries of a column are best and second best."""

from __future__ import annotations

import math
from collections.abc import Sequence


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
    if better not in ("higher", "lower"):
        raise ValueError(f"better must be 'higher' or 'lower', not '{better}'")
    present = [value for value in values if value is not None and not math.isnan(value)]
    if len(present) < 2:
        return [0] * len(values)
    distinct = sorted(set(present), reverse=better == "higher")
    places = {value: place for place, value in enumerate(distinct[:2], start=1)}
    return [0 if value is None else places.get(value, 0) for value in values]
