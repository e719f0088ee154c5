"""A small folder of a registered dataset: made where its layout is known, else the user's own."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tabench.catalog import DATASETS
from tabench.data.array_dataset import ArrayDataset
from tabench.data.base import DatasetDef
from tabench.data.folder_dataset import FOLDERS, FolderDataset
from tabench.errors import TabenchError

TRAIN, VAL, HEIGHT, WIDTH = 5, 2, 24, 32
SEED = 1  # somebody is on the first figure, so that every file of it is read
VARIABLE = "TABENCH_DATA"
LARGEST = 256 * 2**20  # bytes of a folder that is copied before its files are damaged


@dataclass(frozen=True)
class Folder:
    """A dataset and a folder of it.

    Attributes:
        dataset: The dataset.
        root: The folder.
        made: Whether it was made here: TRAIN and VAL images of HEIGHT x WIDTH, which a test may change.
    """

    dataset: DatasetDef
    root: Path
    made: bool


def small_folder(name: str, root: Path, originals: Path, seed: int = SEED) -> Folder:
    """A folder of a dataset, made at `root` or found in the folder that TABENCH_DATA names.

    Args:
        name: Registered name.
        root: Where it is made; it must not exist.
        originals: Where images are rendered once, to be copied by every call.
        seed: What is drawn; a folder that is found is always the same.
    """
    dataset = DATASETS.get(name)
    if (given := os.environ.get(VARIABLE)) and (Path(given) / name).is_dir():
        return Folder(dataset, Path(given) / name, made=False)
    twin = dataset if dataset.synthetic else next(_twins(dataset), None)
    if twin is None:
        pytest.skip(
            f"no folder of '{name}' can be made here, as its layout is its own: "
            f"set {VARIABLE} to a folder that holds a few images of it in {name}/"
        )
    original = originals / f"{twin.name}-{seed}"
    if not original.is_dir():
        twin.make(original, seed=seed, train=TRAIN, val=VAL, height=HEIGHT, width=WIDTH)
    if dataset.synthetic:
        shutil.copytree(original, root)
    elif isinstance(dataset, ArrayDataset):
        _rename(dataset, root, twin, original)
    else:
        shutil.copytree(original, root, ignore=shutil.ignore_patterns(twin.recipe_file))
        dataset = type(type(dataset).__name__, (type(dataset),), {"size": (HEIGHT, WIDTH)})()
    return Folder(dataset, root, made=True)


def _twins(dataset: DatasetDef) -> Iterator[DatasetDef]:
    """Generated datasets that have what a dataset reads: its kinds of arrays, or its very reader."""
    for name in DATASETS.names():
        with contextlib.suppress(TabenchError):  # a broken one fails tests of its own
            twin = DATASETS.get(name)
            if isinstance(dataset, ArrayDataset) and isinstance(twin, ArrayDataset) and twin.synthetic:
                if set(dataset.kinds) <= set(twin.kinds):
                    yield twin
            elif twin.synthetic and set(_readers(dataset)) & set(_readers(twin)):
                yield twin


def _readers(dataset: DatasetDef) -> list[type]:
    """Classes of a dataset that read a layout of their own."""
    own = {"split", "open"}
    general = (DatasetDef, FolderDataset)
    return [kind for kind in type(dataset).__mro__ if own & vars(kind).keys() and kind not in general]


def _rename(dataset: ArrayDataset, root: Path, twin: DatasetDef, original: Path) -> None:
    """Copy the arrays that a dataset reads into the folders that it reads them from."""
    assert isinstance(twin, ArrayDataset)
    stored, wanted = twin.folders(original), dataset.folders(root)
    for folder in FOLDERS:
        for kind, place in wanted.items():
            shutil.copytree(original / folder / stored[kind], root / folder / place)
    for path in root.glob(f"*/{wanted.get('label', '')}/*.npy") if "label" in wanted else ():
        np.save(path, np.minimum(np.load(path), len(dataset.class_names) - 1))


def own_copy(folder: Folder, root: Path) -> Folder:
    """A copy whose files may be damaged, unless the folder was made here and may be itself."""
    if folder.made:
        return folder
    size = sum(path.stat().st_size for path in folder.root.rglob("*") if path.is_file())
    if size > LARGEST:
        pytest.skip(f"{folder.root} holds {size >> 20} MiB, too much to copy: a few images are enough")
    return Folder(folder.dataset, shutil.copytree(folder.root, root), made=False)
