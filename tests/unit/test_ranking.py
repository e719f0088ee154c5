"""Best and second best of a column; places over many comparisons."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabench.stats.ranking import mean_places, places, rank

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


COLUMN = st.lists(st.integers(0, 5).map(float), min_size=1, max_size=8)


@given(COLUMN)
def test_places_sum_to_those_without_ties_and_follow_the_values(values: list[float]) -> None:
    taken = places(values, "lower")
    assert sum(taken) == pytest.approx(len(values) * (len(values) + 1) / 2)
    assert taken == places([-value for value in values], "higher")
    for a, place_a in zip(values, taken, strict=True):
        below = sum(value < a for value in values)
        equal = values.count(a)
        assert place_a == below + (equal + 1) / 2


def test_what_cannot_be_compared_is_refused() -> None:
    assert mean_places([{"a": 1, "b": 2}, {"b": 1.5, "a": 1.5}]) == {"a": 1.25, "b": 1.75}
    assert mean_places([]) == {}
    for refused in (lambda: rank([1.0], "up"), lambda: places([1.0], "up")):
        with pytest.raises(ValueError, match="'up'"):
            refused()
    with pytest.raises(ValueError, match="NaN"):
        places([1.0, math.nan], "lower")
    with pytest.raises(ValueError, match="same competitors"):
        mean_places([{"a": 1}, {"b": 1}])
