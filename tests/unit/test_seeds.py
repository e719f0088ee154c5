"""What a few seeds say: intervals, decisions, verdicts against published values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tabench.stats.seeds import Decision, decide, default_tolerance, t_interval, together, verdict

FINITE = st.floats(-1e6, 1e6).map(lambda x: round(x, 6))


@given(st.lists(FINITE, min_size=2, max_size=8))
def test_agrees_with_scipy(values: list[float]) -> None:
    mean, sd, half = t_interval(values)
    scale = max(1.0, max(map(abs, values)))
    assert mean == pytest.approx(np.mean(values), abs=1e-12 * scale)
    assert sd == pytest.approx(np.std(values, ddof=1), abs=1e-9 * scale)
    expected = stats.t.ppf(0.975, len(values) - 1) * stats.sem(values)
    assert half == pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([3.0, 3.5, 4.0], "supported"),
        ([-3.0, -3.5, -4.0], "not supported"),
        ([-3.0, 1.0, 4.0], "undecided"),
        ([1.0, 1.0, 1.0], "supported"),  # without any spread
        ([0.0, 0.0, 0.0], "not supported"),  # no better than the baseline
    ],
)
def test_an_interval_clear_of_the_threshold_decides(values: list[float], word: str) -> None:
    found = decide(values, 0.0)
    assert (found.word, found.p_value < 0.05) == (word, word != "undecided" and any(values))


def test_numbers_agree_with_scipy() -> None:
    values = [1.2, 2.9, 2.1, 3.3]
    found = decide(values, 0.5)
    assert found.p_value == pytest.approx(stats.ttest_1samp(values, 0.5).pvalue)
    assert (found.low, found.high) == pytest.approx(
        stats.t.interval(0.95, 3, loc=found.mean, scale=stats.sem(values))
    )


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ([0.1, 0.0, -0.1], "supported"),
        ([-5.0, -5.1, -4.9], "not supported"),
        ([5.0, 5.1, 4.9], "not supported"),
        ([0.5, 1.5, 1.0], "undecided"),
    ],
)
def test_within_is_about_both_sides(values: list[float], word: str) -> None:
    found = decide(values, 1.0, "within")
    assert (found.word, math.isnan(found.p_value)) == (word, True)


def made(word: str, p: float) -> Decision:
    return Decision(word, 3, 1.0, 0.5, 1.5, p, "")  # type: ignore[arg-type]


def test_several_comparisons_share_their_error() -> None:
    assert together([made("supported", 0.01), made("supported", 0.02)]) == "supported"
    assert together([made("supported", 0.03), made("supported", 0.04)]) == "undecided"  # Holm: 0.06
    assert together([made("supported", 0.001), made("not supported", 0.01)]) == "not supported"
    assert together([made("supported", 0.001), made("undecided", 0.5)]) == "undecided"
    assert together([made("supported", 0.001), made("undecided", math.nan)]) == "undecided"
    assert together([]) == "undecided"


def test_a_published_value_inside_the_interval_of_the_runs() -> None:
    runs = [50.0, 51.0, 54.0]
    low, high = stats.t.interval(0.95, 2, loc=sum(runs) / 3, scale=stats.sem(runs))
    found = verdict(runs, 53.0, 0.5)
    assert (found.low, found.high) == pytest.approx((low, high))
    words = [verdict(runs, value, 0.5).word for value in (53.0, high - 1e-6, high + 1e-6)]
    assert words == ["within interval", "within interval", "off by"]


@pytest.mark.parametrize("tolerance", [None, -0.1, math.nan, math.inf])
def test_a_published_value_needs_a_tolerance(tolerance: float | None) -> None:
    with pytest.raises(ValueError, match="tolerance"):
        verdict([1.0], 1.0, tolerance)


@pytest.mark.parametrize(
    ("printed", "tolerance"),
    [
        ("52.1", 0.521),
        ("0.282", 0.00282),
        ("0", 0.5),
        ("0.00", 0.005),
        ("3", 0.5),
        ("-0.62", 0.0062),
        ("1e2", 50),
    ],
)
def test_the_default_is_one_percent_but_half_a_printed_digit_at_least(printed: str, tolerance: float) -> None:
    assert default_tolerance(printed) == pytest.approx(tolerance)


@pytest.mark.parametrize("printed", ["", "about 5", "nan", "inf"])
def test_a_default_needs_a_number(printed: str) -> None:
    with pytest.raises(ValueError, match="not a"):
        default_tolerance(printed)


def test_where_there_is_no_interval() -> None:
    mean, *rest = t_interval([4.0])
    assert mean == 4.0
    assert all(map(math.isnan, [*rest, *t_interval([1.0, math.nan, 3.0])]))
    with pytest.raises(ValueError, match="at least one value"):
        t_interval([])


@pytest.mark.parametrize(
    ("values", "reason"), [([5.0], "needs 3 seeds, has 1"), ([5.0, 5.1], "needs 3 seeds, has 2"),
                           ([math.nan], "not run")]
)  # fmt: skip
def test_too_few_seeds_decide_nothing(values: list[float], reason: str) -> None:
    found = decide(values, 0.0)
    assert (found.word, found.reason) == ("undecided", reason)


@pytest.mark.parametrize(("threshold", "direction"), [(0.0, "below"), (0.0, "within")])
def test_what_cannot_be_meant_is_refused(threshold: float, direction: str) -> None:
    with pytest.raises(ValueError, match=r"direction|above 0"):
        decide([1.0], threshold, direction)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "published", "tolerance", "word"),
    [
        ([0.285], 0.282, 0.003, "match"),  # 0.0030000000000000027 in binary
        ([52.6], 52.1, 0.5, "match"),
        ([52.61], 52.1, 0.5, "off by"),
        ([52.1], 52.1, 0.0, "match"),
        ([50.0], 50.6, 0.5, "off by"),
        ([50.0], None, None, "not known"),
        ([], None, None, "not known"),
        ([], 52.1, 0.5, "not run"),
        ([math.nan], 52.1, 0.5, "not run"),
    ],
)
def test_verdicts(values: list[float], published: float | None, tolerance: float | None, word: str) -> None:
    found = verdict(values, published, tolerance)
    assert found.word == word
    assert (found.low, found.high) == (None, None)
    if word == "off by":
        assert found.difference == values[0] - published  # type: ignore[operator]
