from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import balancers
import pytest
import spec_samples as samples
from registering import registered

from tabench.catalog import METHODS
from tabench.errors import SpecError
from tabench.spec.expand import expand, labels
from tabench.spec.options import parse_shard, select_cells, shard_cells


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    with registered():
        yield


def test_balancing_is_an_axis_for_methods_that_train_tasks_together(tmp_path: Path) -> None:
    both = 'axes.balancing=["equal", "by-loss"]'
    plain, cells = samples.cells(tmp_path), samples.cells(tmp_path, both, "balancing.by-loss.start=0.5")
    assert {cell.id for cell in plain} < {cell.id for cell in cells}
    assert [cell.label for cell in cells if cell not in plain] == [
        f"{method} (balancing=by-loss) s{seed}" for method in ("ta-lora", "frozen") for seed in (0, 1)
    ]
    (part,) = {cell.balancing.model_dump_json() for cell in cells if cell not in plain}
    assert json.loads(part)["params"] == {**balancers.BY_LOSS.defaults, "start": 0.5}
    assert "balancing" not in plain[0].canonical()
    assert [cell.label for cell in select_cells(cells, ["balancing=by-loss", "seed=1", "method=frozen"])] == [
        "frozen (balancing=by-loss) s1"
    ]
    told = labels([*cells, *samples.cells(tmp_path, 'axes.balancing=["by-loss"]')])
    assert "frozen (balancing=by-loss, balancing.start=0.5) s0" in told.values()
    for option, words in (('axes.balancing=["by-los"]', "did you mean 'by-loss'"),
                          ("balancing.by-loss.begin=1", "has no hyper-parameter 'begin'")):  # fmt: skip
        with pytest.raises(SpecError) as caught:
            samples.cells(tmp_path, option)
        assert words in str(caught.value)


def test_augmentations_are_set_by_name_or_as_before(tmp_path: Path) -> None:
    (cell, *_), (same, *_), (none, *_), (paper, *_) = (
        samples.cells(tmp_path, f"train.augment={value}") for value in ("true", "clean", "false", "paper")
    )
    assert cell.id == same.id == samples.cells(tmp_path)[0].id
    assert [c.train.augment for c in (cell, none, paper)] == ["clean", "none", "paper"]
    assert len({cell.id, none.id, paper.id}) == 3


def test_an_augmentation_that_a_dataset_does_not_have_is_refused_before_anything_runs(tmp_path: Path) -> None:
    resolved = replace(samples.RESOLVED, dataset_name="figures")
    options = ["dataset.name=figures", 'dataset.tasks=["segmentation"]', "train.task_weights={}"]
    assert expand(samples.small(tmp_path), "demo", resolved, options)
    with pytest.raises(SpecError, match="no augmentation for 'figures'") as caught:
        expand(samples.small(tmp_path), "demo", resolved, [*options, "train.augment=paper"])
    assert caught.value.where is not None
    assert caught.value.where.endswith("profiles.demo.train.augment")


def test_what_changes_no_result_is_not_in_a_cell(tmp_path: Path) -> None:
    rank = METHODS.get("lora-stl").defaults["rank"]
    options = ["note=other", "dataset.generate.train=9", "backbone.checkpoint=elsewhere.pth"]
    assert samples.cells(tmp_path, f"methods.lora-stl.rank={rank}", *options) == samples.cells(tmp_path)
    same = 'variants=[{method="ta-lora", params={ranks=[8, 8, 3]}}]'  # another row already
    assert samples.cells(tmp_path, same) == samples.cells(tmp_path)


def test_a_subset_of_tasks_keeps_only_what_concerns_it(tmp_path: Path) -> None:
    cell = samples.cells(tmp_path, 'dataset.tasks=["normals", "depth"]')[0]
    assert cell.dataset.tasks == ("normals", "depth")
    assert cell.dataset.channels == (3, 1)
    assert cell.train.task_weights == {"normals": 4.0, "depth": 1.0}
    assert cell.evaluation.protocols == {"normals": 1, "depth": 1}


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("dataset.name=nyuv2", "names 'nyuv2' but 'scenes' was looked at"),
        ('evaluation={selection="best-val", val_split="val"}', "reported split"),
    ],
)
def test_what_cannot_be_resolved_is_refused(tmp_path: Path, option: str, message: str) -> None:
    with pytest.raises(SpecError, match=message):
        samples.cells(tmp_path, option)


def test_selection_narrows_by_method_seed_and_id(tmp_path: Path) -> None:
    cells = samples.cells(tmp_path)

    def labels(*select: str) -> list[str]:
        return [cell.label for cell in select_cells(cells, select)]

    assert labels("method=lora-stl,frozen", "seed=1") == ["lora-stl s1", "frozen s1"]
    assert labels("seed=0", "seed=1") == [cell.label for cell in cells]
    assert labels(f"id={cells[3].id[:8]}") == [cells[3].label]
    assert labels() == [cell.label for cell in cells]


@pytest.mark.parametrize(
    ("select", "message"),
    [
        (["method=lora-slt"], "did you mean 'lora-stl'"),
        (["methd=lora-stl"], "did you mean 'method'"),
        (["seed=7"], "no cell has seed '7'"),
        (["seed="], "no cell has seed ''"),
        (["method"], "expected KEY=a,b"),
        (["id=zz"], "no cell has id 'zz'"),
    ],
)
def test_a_selection_of_nothing_is_refused(tmp_path: Path, select: list[str], message: str) -> None:
    with pytest.raises(SpecError, match=message):
        select_cells(samples.cells(tmp_path), select)


def test_shards_part_the_list() -> None:
    cells = list(range(13))
    shards = [shard_cells(cells, f"{i}/4") for i in range(1, 5)]  # type: ignore[arg-type]
    assert shards == [[0, 4, 8, 12], [1, 5, 9], [2, 6, 10], [3, 7, 11]]


@pytest.mark.parametrize("text", ["0/4", "5/4", "1", "1/0", "a/b", "-1/4", "1/4/2", "²/4"])
def test_a_shard_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(SpecError, match="expected I/N"):
        parse_shard(text)


VARIANTS = 'variants=[{method="ta-lora", params={ranks=[4, 4, 3]}}, {method="lora-stl", params={rank=8}}]'


def test_variants_are_further_rows_named_by_what_differs(tmp_path: Path) -> None:
    cells = samples.cells(tmp_path, VARIANTS)
    assert [(c.method.name, c.seed) for c in cells[6:]] == [
        ("ta-lora", 0),
        ("ta-lora", 1),
        ("lora-stl", 0),
        ("lora-stl", 1),
    ]
    assert cells[6].method.params == {**cells[0].method.params, "ranks": (4, 4, 3)}
    named = list(labels(cells).values())
    assert named[0] == "ta-lora (ranks=[8, 8, 3]) s0"
    assert named[6] == "ta-lora (ranks=[4, 4, 3]) s0"
    assert named[4] == "frozen s0"
    assert len(set(named)) == len(cells)


@pytest.mark.parametrize(
    ("option", "part"),
    [
        ('variants=[{method="ta-lorra", params={}}]', "variants.0"),
        ('variants=[{method="ta-lora", params={rank=8}}]', "ranks"),
        ('variants=[{method="ta-lora", parms={rank=8}}]', "params"),
    ],
)
def test_wrong_variants_are_named(tmp_path: Path, option: str, part: str) -> None:
    with pytest.raises(SpecError, match=part):
        samples.cells(tmp_path, option)
