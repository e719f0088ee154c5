from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tabench.errors import SpecError
from tabench.stats.delta_b import VARIANTS, delta_b

VALUE = st.floats(0.01, 100)
DIRECTIONS = {
    ("segmentation", "miou"): "higher",
    ("segmentation", "pacc"): "higher",
    ("depth", "abs_err"): "lower",
    ("normals", "mean"): "lower",
    ("normals", "median"): "lower",
    ("normals", "within_11"): "higher",
}
Flat = dict[tuple[str, str], float]
FLAT = st.fixed_dictionaries(dict.fromkeys(DIRECTIONS, VALUE))


def nested(flat: Flat) -> dict[str, dict[str, float]]:
    tasks: dict[str, dict[str, float]] = {}
    for (task, metric), value in flat.items():
        tasks.setdefault(task, {})[metric] = value
    return tasks


@given(FLAT, FLAT)
def test_libmtl_is_the_written_formula(new: Flat, old: Flat) -> None:
    total = 0.0
    tasks = ["segmentation", "depth", "normals"]
    for t in tasks:
        metrics = [key for key in DIRECTIONS if key[0] == t]
        inner = 0.0
        for key in metrics:
            w = 1 if DIRECTIONS[key] == "higher" else 0
            inner += (-1) ** w * (old[key] - new[key]) / old[key]
        total += inner / len(metrics)
    result = delta_b(nested(new), nested(old), DIRECTIONS)
    assert delta_b(nested(new), nested(old), DIRECTIONS, "flipped") == pytest.approx(-result)
    assert [v.name for v in VARIANTS.values() if v.better == "lower"] == ["flipped"]
    assert result == pytest.approx(100 * total / len(tasks), rel=1e-9, abs=1e-9)


@given(FLAT, FLAT)
def test_single_metric_is_libmtl_on_the_first_metrics(new: Flat, old: Flat) -> None:
    first = {
        key: DIRECTIONS[key] for key in [("segmentation", "miou"), ("depth", "abs_err"), ("normals", "mean")]
    }
    assert delta_b(nested(new), nested(old), DIRECTIONS, "single-metric") == pytest.approx(
        delta_b(nested(new), nested(old), first)
    )


@pytest.mark.parametrize(("new", "old"), [(math.nan, 1.0), (1.0, math.nan), (1.0, 0.0)])
def test_where_no_relative_change_is_defined_the_result_is_not(new: float, old: float) -> None:
    directions = {("depth", "abs_err"): "lower"}
    assert math.isnan(delta_b({"depth": {"abs_err": new}}, {"depth": {"abs_err": old}}, directions))


def test_what_cannot_be_compared_is_refused() -> None:
    one, direction = {"depth": {"abs_err": 1.0}}, {("depth", "abs_err"): "lower"}
    with pytest.raises(SpecError, match=r"depth\.abs_err: the baseline has no value"):
        delta_b(one, {"depth": {}}, direction)
    with pytest.raises(SpecError, match="the method has no value"):
        delta_b({}, one, direction)
    with pytest.raises(SpecError, match="did you mean 'libmtl'"):
        delta_b(one, one, direction, "libmlt")
    with pytest.raises(SpecError, match="'higher' or 'lower', not 'up'"):
        delta_b(one, one, {("depth", "abs_err"): "up"})
    with pytest.raises(SpecError, match="at least one metric"):
        delta_b(one, one, {})
