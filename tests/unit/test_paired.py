from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tabench.stats.paired import compare, holm, mean_over_runs, rank_biserial, wilcoxon

P_VALUES = st.lists(st.floats(0, 1), max_size=8)


def noisy(shift: float, n: int = 60) -> tuple[dict[str, float | None], dict[str, float | None]]:
    generator = np.random.default_rng(1)
    base = generator.uniform(1, 2, n)
    moved = base + shift + generator.normal(0, 0.1, n)
    ids = [f"val/{i}" for i in range(n)]
    return dict(zip(ids, moved.tolist(), strict=True)), dict(zip(ids, base.tolist(), strict=True))


def test_wilcoxon_agrees_with_scipy_on_the_pairs() -> None:
    method, baseline = noisy(0.03)
    expected = stats.wilcoxon(list(method.values()), list(baseline.values())).pvalue  # type: ignore[arg-type]
    assert compare(method, baseline).p_value == pytest.approx(expected, rel=1e-12)


def test_the_bootstrap_and_its_p_value_agree_with_drawing_images_by_hand() -> None:
    method, baseline = noisy(0.02, n=40)
    result = compare(method, baseline)
    differences = np.array([method[i] - baseline[i] for i in sorted(method)])  # type: ignore[operator]
    generator = np.random.Generator(np.random.Philox(0))
    means = differences[generator.integers(40, size=(10_000, 40))].mean(axis=1)
    assert (result.low, result.high) == pytest.approx(tuple(np.quantile(means, [0.025, 0.975])), rel=1e-9)
    assert result.p_bootstrap == pytest.approx(2 * (1 + (means <= 0).sum()) / 10_001)
    assert 0.01 < result.p_bootstrap < 1


def test_rank_biserial_by_hand() -> None:
    # |differences| rank 1, 2, 3, 4: positive ranks sum to 7, negative to 3
    assert rank_biserial(np.array([0.1, -0.5, 0.3, -0.2, 0.0]) * np.array([1, -1, -1, -1, 1])) == 0.4
    assert rank_biserial(np.array([1.0, 2.0])) == 1.0
    assert rank_biserial(np.zeros(3)) == 0.0


def test_the_bootstrap_of_many_images_is_drawn_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = compare(*noisy(0.02))
    monkeypatch.setattr("tabench.stats.paired._CHUNK", 500)
    assert compare(*noisy(0.02)) == whole


def test_pairs_are_matched_by_image_and_holes_left_out() -> None:
    method = {"b": 3.0, "a": 1.0, "c": None, "d": math.nan, "only": 9.0}
    baseline = {"a": 0.5, "b": 1.0, "c": 1.0, "d": 1.0, "other": 2.0}
    result = compare(method, baseline)
    assert result.n == 2
    assert result.difference == 1.25


def test_equal_methods_do_not_differ() -> None:
    values = {"a": 1.0, "b": 2.0}
    result = compare(values, values)
    assert (result.difference, result.low, result.high, result.p_value) == (0.0, 0.0, 0.0, 1.0)
    assert wilcoxon(np.zeros(3)) == 1.0
    assert compare(*noisy(5.0)).p_bootstrap == pytest.approx(2 / 10_001)  # never 0


def test_seeds_are_averaged_inside_an_image() -> None:
    first, nan = (("a", "b", "c"), np.array([1.0, 2.0, math.nan])), math.nan
    assert mean_over_runs([first, (("a", "b", "c"), np.array([3.0, nan, 1.0]))]) == {"a": 2.0}
    assert mean_over_runs([first, (("b", "d", "a"), np.array([4.0, 1.0, 3.0]))]) == {"a": 2.0, "b": 3.0}
    assert mean_over_runs([]) == {}


@given(P_VALUES)
def test_holm_rejects_what_the_stepwise_rule_rejects(p_values: list[float]) -> None:
    *adjusted, undefined = holm([*p_values, math.nan])  # which counts as no test
    assert math.isnan(undefined)
    level, rejecting = 0.05, True
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    for place, index in enumerate(order):
        rejecting = rejecting and p_values[index] * (len(p_values) - place) <= level
        assert (adjusted[index] <= level) == rejecting
