"""What tabench's own tasks, datasets and backbones are, beside the battery of all (tabench.testing)."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pascal_folder
import pytest
import torch
from PIL import Image

import tabench.encoders.sam
from tabench.catalog import BACKBONES, DATASETS, TASKS
from tabench.data.base import DatasetDef
from tabench.data.loading import evaluation_batches
from tabench.data.pascal import PascalContextDataset
from tabench.encoders.sam.checkpoint import expected_shapes
from tabench.errors import DataError
from tabench.testing.folders import small_folder
from tabench.testing.targets import IDS, make, raw_of, target_of

MANIFEST = json.loads(
    (Path(tabench.encoders.sam.__file__).parent / "manifest.json").read_text(encoding="utf-8")
)
every_task = pytest.mark.parametrize("name", [e.name for e in TASKS.entries() if e.source == "tabench"])
every_dataset = pytest.mark.parametrize("name", [e.name for e in DATASETS.entries() if e.source == "tabench"])


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("originals")


@every_task
def test_a_task_has_known_units_and_names_of_its_own(name: str) -> None:
    assert {metric.unit for metric in TASKS.get(name).metrics} <= {"%", "m", "deg", ""}
    task = make(name)
    assert set(task.legend()) <= set(task.classes)


@every_task
def test_an_image_without_a_label_is_noted(name: str) -> None:
    task = make(name)
    target = torch.cat([target_of(task)[:1], target_of(task, valid=0.0)[:1]])
    for protocol in task.supported:
        evaluation = task.evaluation(protocol)
        evaluation.update(task.activate(raw_of(task)[:2]), target, IDS[:2])
        assert all(set(values) == set(IDS[:1]) for values in evaluation.per_image().values())
        assert any("1" in note for note in evaluation.notes())


@every_dataset
def test_a_label_that_no_class_has_is_named(name: str, tmp_path: Path, originals: Path) -> None:
    folder = small_folder(name, tmp_path / "data", originals)
    dataset, root = folder.dataset, folder.root
    wrong = label_of(dataset, root)
    if wrong.suffix == ".png":
        with Image.open(wrong) as picture:
            picture.point(lambda _: 99).save(wrong)
    else:
        np.save(wrong, np.full_like(np.load(wrong), 99))
    report = dataset.verify(root)
    assert [str(wrong) in problem for problem in report.problems] == [True]
    assert report.fingerprint == ""
    with pytest.raises(DataError, match="99") as caught:
        dataset.split(root, "train").load(3)
    assert str(wrong) in str(caught.value)


def label_of(dataset: DatasetDef, root: Path) -> Path:
    """The label file of training image 3."""
    files = dataset.split(root, "train").sources(3)
    return next(path for path in files if {"label", "label_7", "label_19", "label_2"} & set(path.parts)
                or "semseg" in path.parts)  # fmt: skip


@every_dataset
def test_an_image_that_lacks_its_label_is_named(name: str, tmp_path: Path, originals: Path) -> None:
    folder = small_folder(name, tmp_path / "data", originals)
    label_of(folder.dataset, folder.root).unlink()
    with pytest.raises(DataError, match="3 lacks label"):
        folder.dataset.split(folder.root, "train")
    assert "3 lacks label" in "\n".join(folder.dataset.verify(folder.root).problems)


def test_pascals_photographs_of_several_sizes_share_a_batch(tmp_path: Path) -> None:
    pascal_folder.write_folder(tmp_path / "data", val=3)
    small = type("Small", (PascalContextDataset,), {"size": (24, 32)})()
    (batch,) = evaluation_batches(small.split(tmp_path / "data", "val"), 3)
    assert batch.image.shape == (3, 3, 24, 32)
    assert {kind: tuple(target.shape[-2:]) for kind, target in batch.targets.items()} == dict.fromkeys(
        batch.targets, (24, 32)
    )


@pytest.mark.parametrize("name", ["vit_b", "vit_l", "vit_h"])
def test_an_official_backbone_has_the_keys_of_its_checkpoint(name: str) -> None:
    backbone = BACKBONES.get(name)
    assert expected_shapes(backbone) == {key: tuple(shape) for key, shape in MANIFEST[name].items()}
    assert backbone.url is not None
    assert backbone.url.rsplit("/", 1)[-1].startswith(f"sam_{name}_")


def test_every_backbone_has_a_summary_and_a_place_of_its_weights() -> None:
    for entry in BACKBONES.entries():
        if entry.source == "tabench":
            backbone = BACKBONES.get(entry.name)
            assert entry.summary
            assert backbone.url or backbone.shipped
