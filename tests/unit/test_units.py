from __future__ import annotations

import pytest
from tiny_run import make_cell

from tabench.engine.context import derive_seed, units_of
from tabench.errors import SpecError


def test_stl_has_one_unit_a_task_with_weight_one() -> None:
    units = units_of(make_cell("lora-stl"), "per-task")
    assert [(u.name, u.tasks, u.weights) for u in units] == [
        ("segmentation", ("segmentation",), {"segmentation": 1.0}),
        ("depth", ("depth",), {"depth": 1.0}),
        ("normals", ("normals",), {"normals": 1.0}),
    ]
    assert len({u.seed for u in units}) == 3


def test_shared_weights_are_divided_by_their_sum() -> None:
    (unit,) = units_of(make_cell("lora-hps"), "shared")
    assert unit.weights == pytest.approx({"segmentation": 1 / 6, "depth": 1 / 6, "normals": 4 / 6})


def test_a_weight_of_a_task_the_cell_lacks_is_refused() -> None:
    with pytest.raises(SpecError, match="edges"):
        units_of(make_cell("lora-hps", train__task_weights={"edges": 1.0}), "shared")


def test_seeds_are_pinned_and_differ_by_part() -> None:
    assert derive_seed(0, "all") == derive_seed("0", "all") == 3167214359111867344
    assert derive_seed(0, "all", 1) != derive_seed(0, "all", 11)
    assert 0 <= derive_seed("x") < 2**63
