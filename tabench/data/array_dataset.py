"""Datasets that are folders of arrays: a folder for each kind, a file for each image."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

import numpy as np

from tabench.data.array_folders import (
    FOLDERS,
    check_same_size,
    file_of,
    gap_notes,
    list_images,
    open_array,
    open_checked,
    planes,
    read_array,
)
from tabench.data.base import Array, DatasetDef, Progress, Sample, Split, VerifyReport
from tabench.data.fingerprint import fingerprint_files
from tabench.data.listing import count_notes, left_out_notes, leftovers_in, leftovers_note
from tabench.data.resampling import PAPER
from tabench.data.verify import Arrays, Sound, verify_images
from tabench.data.zoom_flip import ZoomFlip
from tabench.errors import DataError


class ArraySplit(Split):
    """Images of one folder ("train" or "val") by their file numbers, read from disk on demand."""

    augmentation = ZoomFlip()
    paper_augmentation = ZoomFlip(PAPER)

    def __init__(
        self, root: Path, folder: str, numbers: Sequence[int], classes: int, folders: Mapping[str, str]
    ) -> None:
        self.root = root
        self.folder = folder
        self.numbers = list(numbers)
        self.classes = classes
        self.folders = dict(folders)

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def ids(self) -> list[str]:
        """Folder and file number, for example "val/17"."""
        return [f"{self.folder}/{number}" for number in self.numbers]

    def load(self, index: int, *, draw: tuple[int, int] | None = None) -> Sample:
        """Read one image; see `Split.load`."""
        arrays = {k: read_array(path, k, self.classes) for k, path in self.files(index).items()}
        check_same_size({kind: array.shape[-2:] for kind, array in arrays.items()}, self._where(index))
        sample = Sample(self.ids[index], cast(Array, arrays.pop("image")), arrays)
        return sample if draw is None else self.augmentation.one(sample, *draw, index)

    def shape(self, index: int) -> tuple[int, int]:
        """(H, W) of an image and of all its arrays; see `Split.shape`."""
        sizes = {kind: open_array(path).shape[:2] for kind, path in self.files(index).items()}
        check_same_size(sizes, self._where(index))
        height, width = sizes["image"]
        return height, width

    def files(self, index: int) -> dict[str, Path]:
        """A file of each kind."""
        number = self.numbers[index]
        return {kind: file_of(self.root, self.folder, name, number) for kind, name in self.folders.items()}

    def sources(self, index: int) -> list[Path]:
        """The same, as a list."""
        return list(self.files(index).values())

    def _where(self, index: int) -> str:
        return f"{self.root / self.folder}, image {self.numbers[index]}"


class ArrayDataset(DatasetDef):
    """Any dataset in such folders; subclasses name the kinds of arrays, the classes and the tasks.

    Splits: "train" and "val" are the two folders; the two parts of `holdout` divide the training folder.

    Attributes:
        kinds: What an image has: "image" and its targets, in the order they are checked.
        published_counts: Images per folder of the complete dataset; others give a warning.
    """

    paper_augmentation: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]]
    published_counts: ClassVar[Mapping[str, int]] = {}

    def folders(self, root: Path) -> dict[str, str]:
        """Folder name of each kind, below train/ and val/."""
        return {kind: kind for kind in self.kinds}

    def split(self, root: Path, name: str) -> ArraySplit:
        """Open a split; see `DatasetDef.split`."""
        folder, folders = self.folder_of(name), self.folders(root)
        numbers = list_images(root, folder, folders, hint=self.download)
        return ArraySplit(root, folder, self.part(name, numbers), len(self.class_names), folders)

    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Read every file and check it; see `verify_files`."""
        report = self.verify_files(root, self.published_counts, self.size, progress)
        with contextlib.suppress(DataError):  # which is among the problems
            places = (root / folder / name for folder in FOLDERS for name in self.folders(root).values())
            report.warnings += [*left_out_notes(root), *leftovers_note(leftovers_in([root, *places]))]
        if not report.problems:
            report.fingerprint = self.fingerprint(root, progress, fresh=True)
        return report

    def verify_files(
        self,
        root: Path,
        published: Mapping[str, int],
        size: tuple[int, int],
        progress: Progress | None = None,
    ) -> VerifyReport:
        """Check every file: readable, shapes, dtypes, ranges, equal sizes inside an image, and `Checks`.

        Another number of images than `published`, and another (H, W) than `size`, are warnings.

        Returns:
            The findings without a fingerprint. Content never makes this raise.
        """
        report = VerifyReport(root)
        try:
            folders = self.folders(root)
        except DataError as error:
            report.problems.append(f"{error.where}: {error.message}")
            return report
        numbers: dict[str, list[int]] = {}
        for folder in FOLDERS:
            try:
                numbers[folder] = list_images(root, folder, folders, hint=self.download)
            except DataError as error:
                report.problems.append(f"{error.where}: {error.message}")
        report.counts = {folder: len(found) for folder, found in numbers.items()}
        report.warnings += [line for f, n in numbers.items() for line in _number_notes(f, n, published)]
        sizes: Counter[tuple[int, ...]] = Counter()
        dtypes: dict[str, set[str]] = {kind: set() for kind in folders}

        def read(folder: str, number: int, sound: Sound[Any]) -> Arrays:
            found: dict[str, tuple[int, ...]] = {}
            for kind, name in folders.items():
                path = file_of(root, folder, name, number)
                array = sound(partial(open_checked, path, kind, len(self.class_names)))
                if array is not None:
                    dtypes[kind].add(str(array.dtype))
                    found[kind] = array.shape[:2]
                    yield kind, path, planes(np.asarray(array))
            sound(lambda: check_same_size(found, f"{root / folder}, image {number}"))
            sizes.update([found["image"]] if "image" in found else [])

        checks = verify_images(
            report,
            numbers,
            read,
            classes={"label": self.class_names},
            largest=self.largest,
            lists={folder: root / folder for folder in FOLDERS},
            progress=progress,
        )
        named = {"x".join(map(str, found)): count for found, count in sorted(sizes.items())}
        expected = "x".join(map(str, size))
        report.warnings += [
            f"{n} images of {s}, expected is {expected}" for s, n in named.items() if s != expected
        ]
        report.facts = {"sizes": named, "dtypes": {kind: sorted(found) for kind, found in dtypes.items()}}
        for kind in folders:
            report.facts |= checks.of(kind).facts()
        report.facts["images without a valid pixel"] = {
            kind: checks.of(kind).counts["without"] for kind in folders if kind != "image"
        }
        return report

    def notes(self, root: Path) -> list[str]:
        """Other counts than published, numbers or images left out; see `DatasetDef.notes`."""
        folders, notes = self.folders(root), []
        for folder in FOLDERS:
            numbers = list_images(root, folder, folders, hint=self.download)
            notes += _number_notes(folder, numbers, self.published_counts)
        return [*notes, *left_out_notes(root)]

    def fingerprint(self, root: Path, progress: Progress | None = None, *, fresh: bool = False) -> str:
        """sha256 over all files' names and contents; see `DatasetDef.fingerprint`."""
        folders = self.folders(root)
        files = [
            file_of(root, folder, name, number)
            for folder in FOLDERS
            for number in list_images(root, folder, folders, hint=self.download)
            for name in folders.values()
        ]
        return fingerprint_files(root, files, progress, fresh=fresh)


def _number_notes(folder: str, numbers: Sequence[int], published: Mapping[str, int]) -> list[str]:
    return [*count_notes({folder: len(numbers)}, published), *gap_notes(folder, numbers)]
