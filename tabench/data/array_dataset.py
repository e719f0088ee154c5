"""Datasets that are folders of arrays: a folder for each kind, a file for each image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, cast

from tabench.data.base import Array, DatasetDef, Progress, Sample, Split, VerifyReport
from tabench.data.fingerprint import fingerprint_files
from tabench.data.layout import FOLDERS, count_notes, file_of, list_images, read_image, shape_of
from tabench.data.listing import left_out_notes, leftovers_in, leftovers_note
from tabench.data.resampling import PAPER
from tabench.data.verify import verify_layout
from tabench.data.zoom_flip import ZoomFlip
from tabench.errors import DataError


class ArraySplit(Split):
    """Images of one folder, read from disk on demand.

    Args:
        root: Folder that holds train/ and val/.
        folder: "train" or "val".
        numbers: File numbers, in order.
        classes: Number of classes; labels outside -1..classes-1 are an error.
        folders: Folder name of each kind of array.
    """

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
        """Read one image; see `Split.load`.

        Raises:
            DataError: A file is missing or holds wrong values.
        """
        number = self.numbers[index]
        arrays = read_image(self.root, self.folder, number, self.classes, self.folders)
        image = cast(Array, arrays.pop("image"))
        sample = Sample(f"{self.folder}/{number}", image, arrays)
        return sample if draw is None else self.augmentation.one(sample, *draw, index)

    def shape(self, index: int) -> tuple[int, int]:
        """(H, W) of an image and of all its arrays.

        Raises:
            DataError: A file is not a readable array, or they differ in height and width.
        """
        return shape_of(self.root, self.folder, self.numbers[index], self.folders)

    def files(self, index: int) -> dict[str, Path]:
        """A file of each kind."""
        number = self.numbers[index]
        return {kind: file_of(self.root, self.folder, name, number) for kind, name in self.folders.items()}

    def sources(self, index: int) -> list[Path]:
        """The same, as a list."""
        return list(self.files(index).values())


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
        """Open a split.

        Raises:
            DataError: Files are missing; the message names them.
            SpecError: The dataset has no split of this name.
        """
        folder, folders = self.folder_of(name), self.folders(root)
        numbers = list_images(root, folder, hint=self.download, folders=folders)
        return ArraySplit(root, folder, self.part(name, numbers), len(self.class_names), folders)

    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Read every file and check it; see `verify_layout`."""
        try:
            folders = self.folders(root)
        except DataError as error:
            return VerifyReport(root, problems=[f"{error.where}: {error.message}"])
        report = verify_layout(
            root,
            folders=folders,
            class_names=self.class_names,
            published_counts=self.published_counts,
            published_size=self.size,
            largest=self.largest,
            hint=self.download,
            progress=progress,
        )
        places = (root / folder / name for folder in FOLDERS for name in folders.values())
        report.warnings += [*left_out_notes(root), *leftovers_note(leftovers_in([root, *places]))]
        if not report.problems:
            report.fingerprint = self.fingerprint(root, progress, fresh=True)
        return report

    def notes(self, root: Path) -> list[str]:
        """Other counts than published, numbers left out, and what `prepare` left out; see `DatasetDef.notes`.

        Raises:
            DataError: The folder is incomplete or not in this layout.
        """
        folders = self.folders(root)
        numbers = {f: list_images(root, f, hint=self.download, folders=folders) for f in FOLDERS}
        return [*count_notes(numbers, self.published_counts), *left_out_notes(root)]

    def fingerprint(self, root: Path, progress: Progress | None = None, *, fresh: bool = False) -> str:
        """sha256 over all files' names and contents, from the cache where it is still valid.

        Raises:
            DataError: The folder is incomplete or not in this layout.
        """
        folders = self.folders(root)
        files = [
            file_of(root, folder, name, number)
            for folder in FOLDERS
            for number in list_images(root, folder, hint=self.download, folders=folders)
            for name in folders.values()
        ]
        return fingerprint_files(root, files, progress, fresh=fresh)
