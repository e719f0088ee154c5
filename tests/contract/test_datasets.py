"""What every registered dataset must do, whoever wrote it.

A small folder of each is made: the synthetic ones by their generators, ray-cast images for datasets of
arrays, made-up files for the layout of PASCAL_MT. For another package's dataset there is no such folder,
and its battery is skipped.
"""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path

import numpy as np
import pascal_folder
import pytest
from PIL import Image

from tabench.catalog import DATASETS, TASKS
from tabench.data.array_dataset import ArrayDataset
from tabench.data.base import DatasetDef, Sample
from tabench.data.figures import FIGURES
from tabench.data.figures import folder as figures_folder
from tabench.data.loading import evaluation_batches
from tabench.data.pascal import PascalContextDataset
from tabench.data.pascal.layout import label_file
from tabench.data.synthetic_arrays import SyntheticArrayDataset
from tabench.errors import DataError, TabenchError

TRAIN, VAL, HEIGHT, WIDTH = 5, 2, 24, 32
TARGETS = {
    "label": (np.int64, ()),
    "depth": (np.float32, (1,)),
    "disparity": (np.float32, (1,)),
    "normal": (np.float32, (3,)),
    "parts": (np.int64, ()),
    "saliency": (np.int64, ()),
    "edge": (np.int64, ()),
}
every_dataset = pytest.mark.parametrize("name", DATASETS.names())


_originals = Path()  # rendered once, copied for every test


@pytest.fixture(autouse=True, scope="module")
def _keep_originals(tmp_path_factory: pytest.TempPathFactory) -> None:
    global _originals
    _originals = tmp_path_factory.mktemp("originals")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def twin_of(dataset: ArrayDataset) -> SyntheticArrayDataset | None:
    """A synthetic dataset whose images have the same kinds of arrays: itself, if it is one."""
    every = [dataset, *(DATASETS.get(name) for name in DATASETS.names())]
    twins = (one for one in every if isinstance(one, SyntheticArrayDataset) and one.kinds == dataset.kinds)
    return next(twins, None)


def make(name: str, root: Path, seed: int = 0) -> DatasetDef:
    """The dataset, with a small folder of it at `root`."""
    dataset = DATASETS.get(name)
    if dataset is FIGURES:
        FIGURES.make(root, FIGURES.recipe(seed=seed, train=TRAIN, val=VAL, height=HEIGHT, width=WIDTH))
        return dataset
    if isinstance(dataset, PascalContextDataset) and not dataset.synthetic:
        pascal_folder.write_folder(root, TRAIN, VAL, seed)
        return type("Small", (type(dataset),), {"size": (HEIGHT, WIDTH)})()  # 512x512 takes its time
    twin = twin_of(dataset) if isinstance(dataset, ArrayDataset) else None
    if twin is None or not isinstance(dataset, ArrayDataset):
        pytest.skip(f"'{name}' has a layout of its own: no small folder of it can be made here")
    original = _originals / f"{twin.name}-{seed}"
    twin.make(original, twin.recipe(seed=seed, train=TRAIN, val=VAL, height=HEIGHT, width=WIDTH))
    shutil.copytree(original, root, dirs_exist_ok=True)
    if dataset is not twin:
        (root / twin.recipe_file).unlink()
        stored, wanted = twin.folders(root), dataset.folders(root / "nothing here yet")
        for kind, folder in ((kind, folder) for kind in wanted for folder in ("train", "val")):
            (root / folder / stored[kind]).rename(root / folder / wanted[kind])
        fewer_classes(dataset, root)
    return dataset


def a_label(dataset: DatasetDef, root: Path) -> Path:
    """The label file of training image 3."""
    if dataset is FIGURES:
        return label_file(root, figures_folder.image_id("train", 3))
    if isinstance(dataset, PascalContextDataset):
        return label_file(root, pascal_folder.name_of("train", 3))
    assert isinstance(dataset, ArrayDataset)
    return root / "train" / dataset.folders(root)["label"] / "3.npy"


def spoil(path: Path) -> None:
    """Write labels 99, of which no dataset has that many."""
    if path.suffix == ".png":
        with Image.open(path) as picture:
            picture.point(lambda _: 99).save(path)
    else:
        np.save(path, np.full((HEIGHT, WIDTH), 99, np.float32))


def fewer_classes(dataset: ArrayDataset, root: Path) -> None:
    """Bring the labels down to the classes that the dataset has."""
    for path in root.glob(f"*/{dataset.folders(root)['label']}/*.npy"):
        np.save(path, np.minimum(np.load(path), len(dataset.class_names) - 1))


def same(one: Sample, other: Sample) -> bool:
    arrays = [(one.image, other.image), *((one.targets[kind], other.targets[kind]) for kind in one.targets)]
    return one.id == other.id and all(np.array_equal(a, b) for a, b in arrays)


def check_sample(sample: Sample, classes: int) -> None:
    assert sample.image.shape == (3, HEIGHT, WIDTH)
    assert sample.image.dtype == np.float32
    assert 0 <= sample.image.min() < sample.image.max() <= 1
    for kind, array in sample.targets.items():
        dtype, leading = TARGETS[kind]
        assert array.shape == (*leading, HEIGHT, WIDTH), kind
        assert array.dtype == dtype, kind
    if "label" in sample.targets:
        assert set(np.unique(sample.targets["label"])) <= set(range(-1, classes))
    for kind in {"depth", "disparity"} & set(sample.targets):
        assert (np.asarray(sample.targets[kind]) >= 0).all()
    if "normal" in sample.targets:
        length = np.linalg.norm(np.asarray(sample.targets["normal"], dtype=np.float64), axis=0)
        assert (np.isclose(length, 1, atol=1e-3) | (length == 0)).all()


@every_dataset
def test_its_facts_are_complete(name: str) -> None:
    dataset = DATASETS.get(name)
    assert dataset.name == name
    assert dataset.title
    assert dataset.download, "no word on where to get it"
    assert {"train", "val"} <= set(dataset.splits)
    assert len(dataset.size) == 2
    assert dataset.task_channels
    for task, channels in dataset.task_channels.items():
        entry = TASKS.entry(task)
        assert channels >= 1
        if entry.meta.get("needs") == "label":
            assert channels == len(dataset.class_names) == len(set(dataset.class_names))


@every_dataset
def test_every_split_opens_and_holds_what_its_tasks_need(name: str, tmp_path: Path) -> None:
    dataset = make(name, tmp_path / "data")
    needed = {TASKS.get(task).needs for task in dataset.task_channels}
    for wanted in dataset.splits:
        split = dataset.split(tmp_path / "data", wanted)
        assert len(split) == len(split.ids) == len(set(split.ids)) > 0
        for index, image_id in enumerate(split.ids):
            sample = split.load(index)
            assert sample.id == image_id
            assert needed <= set(sample.targets) <= set(TARGETS)
            check_sample(sample, len(dataset.class_names))
            check_sample(split.load(index, draw=(0, 3)), len(dataset.class_names))
    assert not set(dataset.split(tmp_path / "data", "train").ids) & set(
        dataset.split(tmp_path / "data", "val").ids
    )


@every_dataset
def test_draws_depend_on_seed_epoch_and_image_alone(name: str, tmp_path: Path) -> None:
    dataset = make(name, tmp_path / "data")
    split, again = (dataset.split(tmp_path / "data", "train") for _ in range(2))
    assert same(split.load(0), split.load(0))
    for draw in ((0, 0), (0, 1), (7, 0)):
        forwards = [split.load(index, draw=draw) for index in range(TRAIN)]
        backwards = [again.load(index, draw=draw) for index in reversed(range(TRAIN))]
        assert all(same(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))
    for draws in ([(0, epoch) for epoch in range(6)], [(seed, 0) for seed in range(6)]):
        drawn = [[split.load(index, draw=draw) for index in range(TRAIN)] for draw in draws]
        for one, other in pairwise(drawn):
            assert not all(same(a, b) for a, b in zip(one, other, strict=True))


@every_dataset
def test_its_images_can_share_a_batch(name: str, tmp_path: Path) -> None:
    split = make(name, tmp_path / "data").split(tmp_path / "data", "val")
    (batch,) = evaluation_batches(split, VAL)
    assert batch.ids == tuple(split.ids)
    assert tuple(batch.image.shape) == (VAL, 3, HEIGHT, WIDTH)
    assert all(len(target) == VAL for target in batch.targets.values())


@every_dataset
def test_the_fingerprint_is_stable_and_tells_contents_apart(name: str, tmp_path: Path) -> None:
    dataset = make(name, tmp_path / "data")
    first = dataset.fingerprint(tmp_path / "data")
    assert first == dataset.fingerprint(tmp_path / "data")
    make(name, tmp_path / "copy")
    assert dataset.fingerprint(tmp_path / "copy") == first
    make(name, tmp_path / "other", seed=1)
    assert dataset.fingerprint(tmp_path / "other") != first
    if not dataset.synthetic:  # a synthetic one is known by its recipe; `verify` compares the contents
        spoil(a_label(dataset, tmp_path / "copy"))
        assert dataset.fingerprint(tmp_path / "copy") != first


@every_dataset
def test_verify_accepts_a_sound_folder_and_names_a_wrong_file(name: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    dataset = make(name, root)
    steps: list[tuple[int, int]] = []
    report = dataset.verify(root, lambda done, total, what: steps.append((done, total)))
    assert report.problems == []
    assert report.counts == {"train": TRAIN, "val": VAL}
    assert report.fingerprint == dataset.fingerprint(root)
    assert steps
    assert all(1 <= done <= total for done, total in steps)
    wrong = a_label(dataset, root)
    spoil(wrong)
    report = dataset.verify(root)
    assert [str(wrong) in problem for problem in report.problems] == [True]
    assert report.fingerprint == ""
    with pytest.raises(DataError, match="99") as caught:
        dataset.split(root, "train").load(3)
    assert str(wrong) in str(caught.value)


@every_dataset
def test_what_is_missing_is_named(name: str, tmp_path: Path) -> None:
    root = tmp_path / "data"
    dataset = make(name, root)
    a_label(dataset, root).unlink()
    with pytest.raises(DataError) as caught:
        dataset.split(root, "train")
    lacks = "3 lacks label"
    assert lacks in str(caught.value)
    assert lacks in "\n".join(dataset.verify(root).problems)
    nowhere = tmp_path / "nowhere"
    for open_it in (dataset.fingerprint, lambda place: dataset.split(place, "train")):
        with pytest.raises(DataError) as caught:
            open_it(nowhere)
        assert str(nowhere) in str(caught.value)
        assert caught.value.hint
    assert str(nowhere) in dataset.verify(nowhere).problems[0]


@every_dataset
def test_an_unknown_split_is_refused(name: str, tmp_path: Path) -> None:
    dataset = make(name, tmp_path)
    with pytest.raises(TabenchError, match="no split 'test'"):
        dataset.split(tmp_path, "test")
