from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tabench.stats.seeds import default_tolerance, verdict


def test_the_edge_of_the_tolerance_is_a_match() -> None:
    assert verdict([0.285], 0.282, 0.003).word == "match"  # 0.0030000000000000027 in binary
    assert verdict([52.6], 52.1, 0.5).word == "match"
    assert verdict([52.61], 52.1, 0.5).word == "off by"
    assert verdict([52.1], 52.1, 0.0).word == "match"


def test_off_by_is_ours_minus_theirs() -> None:
    found = verdict([50.0], 52.0, 0.5)
    assert (found.word, found.difference) == ("off by", -2.0)
    assert (found.low, found.high) == (None, None)


def test_a_published_value_inside_the_interval_of_the_runs() -> None:
    runs = [50.0, 51.0, 54.0]
    found = verdict(runs, 53.0, 0.5)
    interval = stats.t.interval(0.95, 2, loc=sum(runs) / 3, scale=stats.sem(runs))
    assert found.word == "within interval"
    assert (found.low, found.high) == pytest.approx(interval)
    assert verdict(runs, float(interval[1]) - 1e-6, 0.5).word == "within interval"
    assert verdict(runs, float(interval[1]) + 1e-6, 0.5).word == "off by"


def test_one_run_has_no_interval_to_be_in() -> None:
    assert verdict([50.0], 50.6, 0.5).word == "off by"


def test_what_is_not_published_is_not_known_with_or_without_runs() -> None:
    assert verdict([50.0], None, None).word == "not known"
    assert verdict([], None, None).word == "not known"
    assert verdict([50.0, 52.0], None, None).mean == 51.0


def test_what_was_not_run_is_not_run() -> None:
    assert verdict([], 52.1, 0.5).word == "not run"
    assert verdict([math.nan], 52.1, 0.5).word == "not run"


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


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5), st.floats(-1e3, 1e3), st.floats(0, 10))
def test_exactly_one_verdict_holds(values: list[float], published: float, tolerance: float) -> None:
    found = verdict(values, published, tolerance)
    assert found.difference is not None
    if found.word == "match":
        assert abs(found.difference) <= tolerance * (1 + 1e-8)
    else:
        assert abs(found.difference) > tolerance
        inside = found.low is not None and found.high is not None and found.low <= published <= found.high
        assert (found.word == "within interval") == inside
