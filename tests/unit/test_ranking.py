from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabench.stats.ranking import rank

COLUMN = st.lists(st.none() | st.just(math.nan) | st.integers(0, 5).map(float), max_size=8)


@pytest.mark.parametrize(
    ("values", "better", "marks"),
    [
        ([1.0, 3.0, 2.0], "higher", [0, 1, 2]),
        ([1.0, 3.0, 2.0], "lower", [1, 0, 2]),
        ([2.0, 2.0, 1.0], "higher", [1, 1, 2]),
        ([3.0, 2.0, 2.0], "higher", [1, 2, 2]),
        ([None, 1.0, math.nan, 2.0], "higher", [0, 2, 0, 1]),
        ([1.0], "higher", [0]),
        ([None, 1.0], "higher", [0, 0]),
        ([], "higher", []),
    ],
)
def test_by_hand(values: list[float | None], better: str, marks: list[int]) -> None:
    assert rank(values, better) == marks


@given(COLUMN)
def test_higher_is_lower_of_the_negatives(values: list[float | None]) -> None:
    negatives = [None if value is None else -value for value in values]
    assert rank(values, "higher") == rank(negatives, "lower")


def test_another_direction_is_refused() -> None:
    with pytest.raises(ValueError, match="'up'"):
        rank([1.0], "up")
