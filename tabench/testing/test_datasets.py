"""What every registered dataset must do, on a small folder. Each test is one sentence of the contract."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tabench.catalog import DATASETS, TASKS
from tabench.data.base import Sample
from tabench.data.loading import evaluation_batches
from tabench.errors import DataError, TabenchError
from tabench.testing.folders import SEED, TRAIN, VAL, Folder, own_copy, small_folder

TARGETS = {  # type and leading axes of the kinds of targets that tabench knows
    "label": (np.int64, ()),
    "depth": (np.float32, (1,)),
    "disparity": (np.float32, (1,)),
    "normal": (np.float32, (3,)),
    "parts": (np.int64, ()),
    "saliency": (np.int64, ()),
    "edge": (np.int64, ()),
}
READ = 6  # images of a split that are read, of a folder that is given
Maker = Callable[..., Folder]


@pytest.fixture(scope="session")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where rendered images are kept."""
    return tmp_path_factory.mktemp("originals")


@pytest.fixture
def folder_of(tmp_path: Path, originals: Path) -> Maker:
    """Makes a folder of a dataset, each one at another place."""

    def make(name: str, place: str = "data", seed: int = SEED) -> Folder:
        return small_folder(name, tmp_path / place, originals, seed)

    return make


def same(one: Sample, other: Sample) -> bool:
    """Whether two samples are equal to the bit."""
    arrays = [(one.image, other.image), *((one.targets[kind], other.targets[kind]) for kind in one.targets)]
    return one.id == other.id and all(np.array_equal(a, b) for a, b in arrays)


def check_sample(sample: Sample, classes: int) -> None:
    """Shapes, types and ranges of an image and its targets."""
    size = sample.image.shape[1:]
    assert sample.image.shape == (3, *size)
    assert sample.image.dtype == np.float32
    assert 0 <= sample.image.min() < sample.image.max() <= 1
    for kind, array in sample.targets.items():
        assert array.shape[-2:] == size, kind
        if kind in TARGETS:
            dtype, leading = TARGETS[kind]
            assert array.shape == (*leading, *size), kind
            assert array.dtype == dtype, kind
            assert np.isfinite(array).all(), kind
    if "label" in sample.targets:
        assert set(np.unique(sample.targets["label"])) <= set(range(-1, classes))
    for kind in {"depth", "disparity"} & set(sample.targets):
        assert (np.asarray(sample.targets[kind]) >= 0).all()
    if "normal" in sample.targets:
        length = np.linalg.norm(np.asarray(sample.targets["normal"], dtype=np.float64), axis=0)
        assert (np.isclose(length, 1, atol=1e-3) | (length == 0)).all()


def test_its_facts_are_complete(dataset: str) -> None:
    """Name, title, where to get it, splits, size and the channels of tasks that are registered."""
    found = DATASETS.get(dataset)
    assert found.name == dataset
    assert found.title
    assert found.download, "no word on where to get it"
    assert {"train", "val"} <= set(found.splits)
    assert set(found.holdout) <= set(found.splits)
    assert len(found.size) == 2
    assert found.task_channels
    for task, channels in found.task_channels.items():
        assert channels >= 1
        if TASKS.get(task).needs == "label":
            assert channels == len(found.class_names) == len(set(found.class_names))


def test_every_split_opens_and_holds_what_its_tasks_need(dataset: str, folder_of: Maker) -> None:
    """Images and targets of the right types and ranges, as stored and augmented; train and val share none."""
    folder = folder_of(dataset)
    found = folder.dataset
    needed = {TASKS.get(task).needs for task in found.task_channels}
    for wanted in found.splits:
        split = found.split(folder.root, wanted)
        assert len(split) == len(split.ids) == len(set(split.ids)) > 0
        for index, image_id in list(enumerate(split.ids))[:READ]:
            sample = split.load(index)
            assert sample.id == image_id
            assert split.shape(index) in (None, sample.image.shape[1:])
            assert needed <= set(sample.targets)
            check_sample(sample, len(found.class_names))
            check_sample(split.load(index, draw=(0, 3)), len(found.class_names))
    assert all(isinstance(note, str) for note in found.notes(folder.root))
    train, val = (found.split(folder.root, name).ids for name in ("train", "val"))
    assert not set(train) & set(val)


def test_draws_depend_on_seed_epoch_and_image_alone(dataset: str, folder_of: Maker) -> None:
    """In whatever order images are read, by whatever process; another seed or epoch draws anew."""
    folder = folder_of(dataset)
    split, again = (folder.dataset.split(folder.root, "train") for _ in range(2))
    positions = range(min(len(split), READ))
    assert same(split.load(0), split.load(0))
    for draw in ((0, 0), (0, 1), (7, 0)):
        forwards = [split.load(index, draw=draw) for index in positions]
        backwards = [again.load(index, draw=draw) for index in reversed(positions)]
        assert all(same(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))
    for draws in ([(0, epoch) for epoch in range(6)], [(seed, 0) for seed in range(6)]):
        drawn = [[split.load(index, draw=draw) for index in positions] for draw in draws]
        for one, other in pairwise(drawn):
            assert not all(same(a, b) for a, b in zip(one, other, strict=True))


def test_its_images_make_batches(dataset: str, folder_of: Maker) -> None:
    """Every image of a split comes once, in order; those of one size can share a batch."""
    folder = folder_of(dataset)
    split = folder.dataset.split(folder.root, "val")
    size = VAL if folder.made else 1
    seen = [batch.ids for batch, _ in zip(evaluation_batches(split, size), range(READ), strict=False)]
    assert [image_id for ids in seen for image_id in ids] == split.ids[: size * len(seen)]
    batch = next(evaluation_batches(split, size))
    assert batch.image.shape[:2] == (size, 3)
    assert all(len(target) == size for target in batch.targets.values())


def test_the_fingerprint_tells_contents_apart(dataset: str, folder_of: Maker, tmp_path: Path) -> None:
    """The same wherever the folder is, another where a file is another, even of the same size and time."""
    folder = own_copy(folder_of(dataset), tmp_path / "own")
    found = folder.dataset
    first = found.fingerprint(folder.root)
    assert first == found.fingerprint(folder.root) == found.fingerprint(folder.root, fresh=True)
    copy = folder_of(dataset, "copy")
    assert found.fingerprint(copy.root) == first
    if folder.made:
        assert found.fingerprint(folder_of(dataset, "other", seed=SEED + 1).root) != first
    if found.synthetic:  # known by its recipe; `verify` compares the contents
        return
    for source in found.split(folder.root, "train").sources(0):
        before = source.read_bytes()
        source.write_bytes(before + b"\0")
        appended = found.fingerprint(folder.root)
        assert appended != first, source
        state = source.stat()
        source.write_bytes(bytes([before[0] ^ 1]) + before[1:] + b"\0")
        os.utime(source, ns=(state.st_atime_ns, state.st_mtime_ns))  # of the same size and time
        assert found.fingerprint(folder.root, fresh=True) not in (first, appended), source
        source.write_bytes(before)
    assert found.fingerprint(folder.root) == first


def test_verify_accepts_a_sound_folder_and_names_a_damaged_file(
    dataset: str, folder_of: Maker, tmp_path: Path
) -> None:
    """Progress goes from 1 to the total; a file that is cut off is named, by reading an image as well."""
    folder = own_copy(folder_of(dataset), tmp_path / "own")
    found, root = folder.dataset, folder.root
    steps: list[tuple[int, int]] = []
    report = found.verify(root, lambda done, total, what: steps.append((done, total)))
    assert report.problems == []
    assert report.counts.keys() >= {"train", "val"}
    if folder.made:
        assert report.counts == {"train": TRAIN, "val": VAL}
    assert report.fingerprint == found.fingerprint(root)
    assert steps
    assert all(1 <= done <= total for done, total in steps)
    split = found.split(root, "train")
    for source in split.sources(0):
        before = source.read_bytes()
        source.write_bytes(before[: len(before) // 2])
        report = found.verify(root)
        assert any(str(source) in problem for problem in report.problems), source
        assert report.fingerprint == ""
        with pytest.raises(DataError) as caught:
            found.split(root, "train").load(0)
        assert str(source) in str(caught.value)
        source.write_bytes(before)


def test_what_is_missing_is_named(dataset: str, folder_of: Maker, tmp_path: Path) -> None:
    """One of an image's files that the others do not do without; the whole folder, with a hint."""
    folder = own_copy(folder_of(dataset), tmp_path / "own")
    found, root = folder.dataset, folder.root
    whole = found.split(root, "train").load(0)
    for source in found.split(root, "train").sources(0):
        before = source.read_bytes()
        source.unlink()
        if source.stem in "\n".join(found.verify(root).problems):
            with pytest.raises(DataError, match=re.escape(str(root))):
                found.split(root, "train").load(0)
        else:  # nothing is read from it, or the image has gone with it
            split = found.split(root, "train")
            assert whole.id not in split.ids or same(split.load(0), whole), f"other values without {source}"
        source.write_bytes(before)
    nowhere = tmp_path / "nowhere"
    for open_it in (found.fingerprint, lambda place: found.split(place, "train")):
        with pytest.raises(DataError) as caught:
            open_it(nowhere)
        assert str(nowhere) in str(caught.value)
        assert caught.value.hint
    assert str(nowhere) in found.verify(nowhere).problems[0]


def test_an_unknown_split_is_refused(dataset: str, folder_of: Maker) -> None:
    """By its name, not as files that are missing."""
    folder = folder_of(dataset)
    with pytest.raises(TabenchError, match="no split 'of-nobody'"):
        folder.dataset.split(folder.root, "of-nobody")
