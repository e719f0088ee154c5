"""Datasets that are folders of arrays: a folder for each kind, a file for each image."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

from tabench.data.array_folders import (
    check_same_size,
    file_of,
    gap_notes,
    list_images,
    open_array,
    read_array,
)
from tabench.data.base import Array, Sample
from tabench.data.folder_dataset import FolderDataset, FolderSplit
from tabench.data.resampling import PAPER
from tabench.data.zoom_flip import ZoomFlip


class ArraySplit(FolderSplit):
    """Images of one folder ("train" or "val") by their file numbers."""

    augmentation = ZoomFlip()
    paper_augmentation = ZoomFlip(PAPER)

    def __init__(
        self, root: Path, folder: str, numbers: Sequence[int], classes: int, folders: Mapping[str, str]
    ) -> None:
        super().__init__(root, folder, numbers)
        self.classes, self.folders = classes, dict(folders)

    def files(self, index: int) -> dict[str, Path]:
        """A file of each kind."""
        number = self.names[index]
        return {kind: file_of(self.root, self.folder, name, number) for kind, name in self.folders.items()}

    def readers(self, index: int, *, every: bool = False) -> dict[str, Callable[[], Any]]:
        """See `FolderSplit.readers`."""
        return {k: partial(read_array, path, k, self.classes) for k, path in self.files(index).items()}

    def assemble(self, index: int, read: Mapping[str, Any]) -> Sample:
        """The arrays as they are, if they have one size."""
        check_same_size({kind: array.shape[-2:] for kind, array in read.items()}, self._where(index))
        targets = dict(read)
        return Sample(f"{self.folder}/{self.names[index]}", cast(Array, targets.pop("image")), targets)

    def shape(self, index: int) -> tuple[int, int]:
        """(H, W) of an image and of all its arrays; see `Split.shape`."""
        sizes = {kind: open_array(path).shape[:2] for kind, path in self.files(index).items()}
        check_same_size(sizes, self._where(index))
        height, width = sizes["image"]
        return height, width

    def _where(self, index: int) -> str:
        return f"{self.root / self.folder}, image {self.names[index]}"


class ArrayDataset(FolderDataset):
    """Any dataset in such folders; subclasses name the kinds of arrays, the classes and the tasks.

    Attributes:
        kinds: What an image has: "image" and its targets, in the order they are checked.
    """

    paper_augmentation: ClassVar[bool] = True
    kinds: ClassVar[tuple[str, ...]]

    def folders(self, root: Path) -> dict[str, str]:
        """Folder name of each kind, below train/ and val/."""
        return {kind: kind for kind in self.kinds}

    def names(self, root: Path, folder: str) -> list[int]:
        """The files' numbers; see `list_images`."""
        return list_images(root, folder, self.folders(root), hint=self.download)

    def open(self, root: Path, folder: str, names: Sequence[int]) -> ArraySplit:
        """See `FolderDataset.open`."""
        return ArraySplit(root, folder, names, len(self.class_names), self.folders(root))

    def split(self, root: Path, name: str) -> ArraySplit:
        """Open a split; see `DatasetDef.split`."""
        return cast(ArraySplit, super().split(root, name))

    def name_notes(self, root: Path, names: Mapping[str, Sequence[int]]) -> list[str]:
        """Numbers that are left out."""
        return [line for folder, numbers in names.items() for line in gap_notes(folder, numbers)]
