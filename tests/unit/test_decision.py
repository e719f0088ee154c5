from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tabench.stats.seeds import Decision, decide, together


def test_an_interval_clear_of_the_threshold_decides() -> None:
    assert decide([3.0, 3.5, 4.0], 0.0).word == "supported"
    assert decide([-3.0, -3.5, -4.0], 0.0).word == "not supported"
    found = decide([-3.0, 1.0, 4.0], 0.0)
    assert (found.word, found.reason) == ("undecided", "the interval reaches over the threshold")


def test_numbers_agree_with_scipy() -> None:
    values = [1.2, 2.9, 2.1, 3.3]
    found = decide(values, 0.5)
    assert found.p_value == pytest.approx(stats.ttest_1samp(values, 0.5).pvalue)
    assert (found.low, found.high) == pytest.approx(
        stats.t.interval(0.95, 3, loc=found.mean, scale=stats.sem(values))
    )


@pytest.mark.parametrize("values", [[5.0], [5.0, 5.1]])
def test_two_seeds_decide_nothing(values: list[float]) -> None:
    found = decide(values, 0.0)
    assert (found.word, found.reason) == ("undecided", f"needs 3 seeds, has {len(values)}")
    assert found.mean == pytest.approx(5.0, abs=0.1)


def test_no_runs_are_not_run() -> None:
    found = decide([math.nan], 0.0)
    assert (found.word, found.n, found.reason) == ("undecided", 0, "not run")


def test_runs_without_any_spread() -> None:
    assert decide([1.0, 1.0, 1.0], 0.0).p_value == 0.0
    assert decide([0.0, 0.0, 0.0], 0.0).word == "not supported"  # no better than the baseline
    assert decide([0.0, 0.0, 0.0], 0.0).p_value == 1.0


def test_within_is_about_both_sides() -> None:
    assert decide([0.1, 0.0, -0.1], 1.0, "within").word == "supported"
    assert decide([-5.0, -5.1, -4.9], 1.0, "within").word == "not supported"
    assert decide([5.0, 5.1, 4.9], 1.0, "within").word == "not supported"
    assert decide([0.5, 1.5, 1.0], 1.0, "within").word == "undecided"
    assert math.isnan(decide([0.1, 0.0, -0.1], 1.0, "within").p_value)


def test_what_cannot_be_meant_is_refused() -> None:
    with pytest.raises(ValueError, match="direction"):
        decide([1.0], 0.0, "below")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="above 0"):
        decide([1.0], 0.0, "within")


@given(st.lists(st.floats(-10, 10), min_size=3, max_size=6), st.floats(-5, 5))
def test_a_decision_and_its_p_value_agree(values: list[float], threshold: float) -> None:
    found = decide(values, threshold)
    if abs(found.p_value - 0.05) > 1e-6:  # the edge itself is a matter of rounding
        assert (found.p_value < 0.05) == (found.word != "undecided") or found.p_value == 1.0


def made(word: str, p: float) -> Decision:
    return Decision(word, 3, 1.0, 0.5, 1.5, p, "")  # type: ignore[arg-type]


def test_several_comparisons_share_their_error() -> None:
    assert together([made("supported", 0.01), made("supported", 0.02)]) == "supported"
    assert together([made("supported", 0.03), made("supported", 0.04)]) == "undecided"  # Holm: 0.06
    assert together([made("supported", 0.001), made("not supported", 0.01)]) == "not supported"
    assert together([made("supported", 0.001), made("undecided", 0.5)]) == "undecided"
    assert together([made("supported", 0.001), made("undecided", math.nan)]) == "undecided"
    assert together([]) == "undecided"
