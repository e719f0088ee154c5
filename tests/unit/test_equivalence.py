"""TOST against its formula, its error rates by simulation, and the margin that repeating gives."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tabench.stats.equivalence import half_width, repeat_bound, tost

SAMPLES = st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=30).map(np.array)
MARGINS = st.floats(0.01, 1e3)


@given(SAMPLES, MARGINS)
def test_it_is_two_one_sided_t_tests(values: np.ndarray, margin: float) -> None:
    found = tost(values, margin)
    if np.ptp(values) < 1e-6:  # no spread that a t-test could work with
        return
    above = stats.ttest_1samp(values, -margin, alternative="greater")
    below = stats.ttest_1samp(values, margin, alternative="less")
    assert found.p_value == pytest.approx(max(above.pvalue, below.pvalue), rel=1e-6, abs=1e-12)
    interval = stats.ttest_1samp(values, 0).confidence_interval(0.90)
    assert (found.low, found.high) == pytest.approx(tuple(interval), rel=1e-6, abs=1e-6)
    inside = -margin < found.low and found.high < margin
    assert found.equal == inside or abs(found.p_value - 0.05) < 1e-9
    assert not (found.equal and found.different)


@given(SAMPLES, MARGINS)
def test_which_of_the_two_is_the_reference_does_not_matter(values: np.ndarray, margin: float) -> None:
    one, other = tost(values, margin), tost(-values, margin)
    assert (one.p_value, one.equal, one.different) == (other.p_value, other.equal, other.different)
    assert (one.low, one.high) == (-other.high, -other.low)
    assert one.p_value >= tost(values, 2 * margin).p_value  # a wider margin never speaks against equality


@pytest.mark.parametrize(("value", "equal"), [(0.0, True), (0.1, True), (0.5, False), (-0.6, False)])
def test_differences_without_a_spread_lie_on_a_side(value: float, equal: bool) -> None:
    found = tost(np.full(48, value), 0.5)
    assert (found.equal, found.different) == (equal, abs(value) > 0.5)
    assert found.difference == pytest.approx(value)


def test_one_image_shows_nothing_and_a_margin_is_needed() -> None:
    found = tost(np.array([0.0]), 0.5)
    assert math.isnan(found.p_value)
    assert not found.equal
    assert not found.different
    for margin in (0.0, -1.0, math.inf, math.nan):
        with pytest.raises(ValueError, match="above 0"):
            tost(np.zeros(3), margin)


def test_errors_are_as_rare_as_promised() -> None:
    """At the margin itself: "equal" and "different" in 5 % each; the truth in the middle is found."""
    rng = np.random.default_rng(0)
    at_the_border = [tost(rng.normal(1, 1, 48), 1.0) for _ in range(4000)]
    for errors in (sum(t.equal for t in at_the_border), sum(t.different for t in at_the_border)):
        assert abs(errors / 4000 - 0.05) < 3 * math.sqrt(0.05 * 0.95 / 4000)
    assert all(tost(rng.normal(0, 1, 48), 1.0).equal for _ in range(500))
    assert all(tost(rng.normal(2, 1, 48), 1.0).different for _ in range(500))


def test_a_repeat_stays_within_the_bound_in_all_comparisons_together() -> None:
    """95 % of bounds hold at least 95 % of whole sets of comparisons."""
    rng = np.random.default_rng(0)
    cells, comparisons, sd = 21, 63, 0.3
    held = 0
    for _ in range(300):
        bound = repeat_bound(rng.normal(0, sd, (cells, 2)).tolist(), comparisons)
        alone = 2 * stats.norm.sf(bound / (math.sqrt(2) * sd))  # of one true difference of two repeats
        held += (1 - alone) ** comparisons >= 0.95
    assert held / 300 > 0.95 - 3 * math.sqrt(0.05 * 0.95 / 300)
    assert held < 300  # it is a limit, not a wall


@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=4), min_size=1, max_size=6))
def test_the_bound_knows_neither_order_nor_place(repeats: list[list[float]]) -> None:
    if max(map(len, repeats)) < 2:
        with pytest.raises(ValueError, match="two repeats"):
            repeat_bound(repeats, 10)
        return
    bound = repeat_bound(repeats, 10)
    assert repeat_bound([cell[::-1] for cell in repeats][::-1], 10) == pytest.approx(bound, abs=1e-9)
    assert repeat_bound([[value + 7 for value in cell] for cell in repeats], 10) == pytest.approx(
        bound, rel=1e-6, abs=1e-6
    )
    assert repeat_bound(repeats, 100) >= bound
    assert (bound == 0) == all(np.ptp(cell) == 0 for cell in repeats) or bound < 1e-6


def test_half_a_width_is_scipys() -> None:
    values = np.random.default_rng(1).normal(size=20)
    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.90)
    assert half_width(values) == pytest.approx((high - low) / 2)
