from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tabench.stats.seeds import t_interval

FINITE = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))


@given(st.lists(FINITE, min_size=2, max_size=8), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_agrees_with_scipy(values: list[float], confidence: float) -> None:
    mean, sd, half = t_interval(values, confidence)
    scale = max(1.0, max(map(abs, values)))
    assert mean == pytest.approx(np.mean(values), abs=1e-12 * scale)
    assert sd == pytest.approx(np.std(values, ddof=1), abs=1e-9 * scale)
    expected = stats.t.ppf((1 + confidence) / 2, len(values) - 1) * stats.sem(values)
    assert half == pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)


def test_three_seeds_by_hand() -> None:
    mean, sd, half = t_interval([1.0, 2.0, 3.0])
    assert (mean, sd) == (2.0, 1.0)
    quantile = 0.95 * math.sqrt(2 / (1 - 0.95**2))  # closed form of t at two degrees of freedom
    assert half == pytest.approx(quantile / math.sqrt(3), rel=1e-12)


def test_one_value_has_no_interval() -> None:
    interval = t_interval([4.0])
    assert interval.mean == 4.0
    assert math.isnan(interval.sd)
    assert math.isnan(interval.half_width)


def test_an_undefined_value_is_not_passed_over() -> None:
    assert all(math.isnan(part) for part in t_interval([1.0, math.nan, 3.0]))


def test_no_values_and_impossible_confidence_are_refused() -> None:
    with pytest.raises(ValueError, match="at least one value"):
        t_interval([])
    with pytest.raises(ValueError, match="between 0 and 1"):
        t_interval([1.0, 2.0], 95)


def test_the_interval_covers_the_mean_as_often_as_it_says() -> None:
    draws = np.random.default_rng(0).normal(size=(2000, 3))
    hits = sum(abs(interval.mean) <= interval.half_width for interval in map(t_interval, draws.tolist()))
    assert 0.935 < hits / 2000 < 0.965
