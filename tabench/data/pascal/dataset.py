"""PASCAL-Context as a dataset of five tasks, read from a folder in the layout of PASCAL_MT."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, cast

from tabench.data.base import Sample
from tabench.data.flip_turn import FlipTurn
from tabench.data.folder_dataset import FolderDataset, FolderSplit
from tabench.data.images import read_rgb, shape_of
from tabench.data.listing import is_file
from tabench.data.pascal import files, reading
from tabench.data.pascal.classes import CLASSES_21, NORMAL_CLASSES, PARTS_7, PERSON
from tabench.data.pascal.matlab import read_label_map, read_parts
from tabench.data.prepare.guide import GUIDES

CLASSES_OF = {
    "human_parts": PARTS_7,
    "saliency": ("not salient", "salient"),
    "edges": ("no boundary", "boundary"),
}


class PascalSplit(FolderSplit):
    """Images of a list ("train" or "val"), resized to `size` (H, W)."""

    augmentation = FlipTurn()

    def __init__(
        self,
        root: Path,
        folder: str,
        names: Sequence[str],
        classes: int,
        size: tuple[int, int],
        normal_classes: Collection[int] | None,
    ) -> None:
        super().__init__(root, folder, names)
        self.classes, self.size, self.normal_classes = classes, size, normal_classes
        self._index: dict[str, list[int]] = {}

    def ready(self) -> Self:
        """See `FolderSplit.ready`; a fingerprint, which is of any files, does without."""
        self._index = files.read_index(self.root, self.folder)
        return self

    def files(self, index: int) -> dict[str, Path]:
        """The image's six files; its edges are drawn from those of "context"."""
        return files.files_of(self.root, self.names[index])

    def readers(self, index: int, *, every: bool = False) -> dict[str, Callable[[], Any]]:
        """See `FolderSplit.readers`: parts are not read where the index says that nobody is on the image."""
        paths = self.files(index)
        found: dict[str, Callable[[], Any]] = {
            "image": partial(read_rgb, paths["image"]),
            "label": partial(reading.read_label, paths["label"], self.classes),
            "context": partial(read_label_map, paths["context"]),
            "saliency": partial(reading.read_saliency, paths["saliency"]),
            "normal": partial(reading.read_normals, paths["normal"]),
        }
        if every or PERSON in self._index.get(self.names[index], [PERSON]):
            found["parts"] = partial(read_parts, paths["parts"])
        return found

    def assemble(self, index: int, read: Mapping[str, Any]) -> Sample:
        """Everything at one size; see `reading.sample_of`."""
        name = f"{self.folder}/{self.names[index]}"
        return reading.sample_of(name, self.files(index), read, self.size, self.normal_classes)

    def shape(self, index: int) -> tuple[int, int]:
        """The size that all are resized to; see `Split.shape`."""
        paths = self.files(index)
        photo, label = shape_of(paths["image"], "JPEG"), shape_of(paths["label"], "PNG")
        reading.check_same_shape(paths["label"], label, photo)
        return self.size

    def sources(self, index: int) -> list[Path]:
        """The image's files, and the index that says who is on it."""
        return [*super().sources(index), *filter(is_file, [files.index_file(self.root, self.folder)])]


class PascalContextDataset(FolderDataset):
    """Any folder in the layout of PASCAL_MT; the published one has 4998 training and 5105 validation images.

    Splits: "train" and "val" are the two lists; "train-3998" and "train-1000" divide the training list 80/20
    (another number of images likewise), to select on images that are not trained on.

    Attributes:
        normal_classes: LabelMap classes that normals are kept on: the field's rule. None, in a subclass,
            keeps all valid normals.
    """

    name: ClassVar[str] = "pascal_context"
    title: ClassVar[str] = "PASCAL-Context"
    class_names: ClassVar[tuple[str, ...]] = CLASSES_21
    task_channels: ClassVar[Mapping[str, int]] = {
        "segmentation": 21,
        "human_parts": 7,
        "saliency": 1,  # one sigmoid channel, as in the field's code
        "normals": 3,
        "edges": 1,
    }
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "train-3998", "train-1000")
    holdout: ClassVar[tuple[str, ...]] = ("train-3998", "train-1000")
    size: ClassVar[tuple[int, int]] = (512, 512)
    protocols: ClassVar[tuple[str, ...]] = ("pascal", "pixel")
    normal_classes: ClassVar[Collection[int] | None] = frozenset(NORMAL_CLASSES.values())
    published_counts: ClassVar[Mapping[str, int]] = {"train": 4998, "val": 5105}
    download: ClassVar[str] = (
        "download PASCAL_MT.tgz, linked from the README of github.com/facebookresearch/astmt, and unpack it "
        f"so that ROOT/ImageSets/Context/train.txt exists: `{GUIDES['pascal_context'].command}`"
    )

    def classes_of(self, task: str) -> tuple[str, ...]:
        """Names of a task's classes; empty for tasks without classes."""
        return CLASSES_OF.get(task) or super().classes_of(task)

    def names(self, root: Path, folder: str) -> list[str]:
        """The names of a list; images that are in both lists are refused."""
        names = files.read_apart(root, folder, hint=self.download)
        files.check_complete({folder: names}, files.held_files(root), str(root), self.download)
        return names

    def open(self, root: Path, folder: str, names: Sequence[str]) -> PascalSplit:
        """See `FolderDataset.open`."""
        size, classes = self.target_size(root), len(self.class_names)
        return PascalSplit(root, folder, names, classes, size, self.normal_classes)

    def split(self, root: Path, name: str) -> PascalSplit:
        """Open a split; see `DatasetDef.split`."""
        return cast(PascalSplit, super().split(root, name))

    def listed(self, root: Path, folder: str) -> list[Path]:
        """The list, and the index if there is one."""
        return [files.list_file(root, folder), *filter(is_file, [files.index_file(root, folder)])]

    def name_notes(self, root: Path, names: Mapping[str, Sequence[str]]) -> list[str]:
        """Images in no list."""
        return files.unlisted_notes(root, names)


PASCAL_CONTEXT = PascalContextDataset()
