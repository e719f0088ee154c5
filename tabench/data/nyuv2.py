"""NYUv2 as mtan pre-processed it, and the reader of any folder in its layout."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar, cast

import numpy as np

from tabench.data import draws
from tabench.data.base import Array, DatasetDef, Progress, Sample, Split, VerifyReport
from tabench.data.fingerprint import fingerprint_files
from tabench.data.layout import FOLDERS, KINDS, file_of, list_images, read_image
from tabench.data.transforms import augment, draw_transform
from tabench.data.verify import verify_layout
from tabench.errors import SpecError
from tabench.registry import nearest

CLASSES_13 = (
    "bed",
    "books",
    "ceiling",
    "chair",
    "floor",
    "furniture",
    "objects",
    "picture",
    "sofa",
    "table",
    "tv",
    "wall",
    "window",
)


class NyuLayoutSplit(Split):
    """Images of one folder, read from disk on demand.

    Args:
        root: Folder that holds train/ and val/.
        folder: "train" or "val".
        numbers: File numbers, in order.
        classes: Number of classes; labels outside -1..classes-1 are an error.
    """

    def __init__(self, root: Path, folder: str, numbers: Sequence[int], classes: int) -> None:
        self.root = root
        self.folder = folder
        self.numbers = list(numbers)
        self.classes = classes

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
        arrays = read_image(self.root, self.folder, number, self.classes)
        image = cast(Array, arrays.pop("image"))
        sample = Sample(f"{self.folder}/{number}", image, arrays)
        if draw is None:
            return sample
        height, width = image.shape[1:]
        return augment(sample, draw_transform(height, width, seed=draw[0], epoch=draw[1], index=index))


class NyuLayoutDataset(DatasetDef):
    """Any folder in the NYUv2 layout; subclasses name the dataset.

    Splits: "train" and "val" are the two folders; "train-636" and "train-159" divide
    the training folder as the authors' code does (80/20 by the same generator if it does
    not hold 795 images).

    Attributes:
        published_counts: Images per folder of the complete dataset; others give a warning.
    """

    class_names: ClassVar[tuple[str, ...]] = CLASSES_13
    task_channels: ClassVar[Mapping[str, int]] = {"segmentation": 13, "depth": 1, "normals": 3}
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "train-636", "train-159")
    published_counts: ClassVar[Mapping[str, int]] = {}

    def split(self, root: Path, name: str) -> NyuLayoutSplit:
        """Open a split.

        Raises:
            DataError: Files are missing; the message names them.
            SpecError: The dataset has no split of this name.
        """
        if name not in self.splits:
            close = nearest(name, self.splits)
            hint = f"did you mean '{close}'?" if close else f"it has: {', '.join(self.splits)}"
            raise SpecError(f"dataset '{self.name}' has no split '{name}'", hint=hint)
        folder = "val" if name == "val" else "train"
        numbers = list_images(root, folder, hint=self.download)
        if name in ("train-636", "train-159"):
            kept = np.zeros(len(numbers), dtype=bool)
            kept[draws.training_part(len(numbers))] = True
            wanted = kept if name == "train-636" else ~kept
            numbers = [number for number, take in zip(numbers, wanted, strict=True) if take]
        return NyuLayoutSplit(root, folder, numbers, len(self.class_names))

    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Read every file and check it; see `verify_layout`."""
        report = verify_layout(
            root,
            class_names=self.class_names,
            published_counts=self.published_counts,
            published_size=self.size,
            hint=self.download,
            progress=progress,
        )
        if not report.problems:
            report.fingerprint = self.fingerprint(root, progress)
        return report

    def fingerprint(self, root: Path, progress: Progress | None = None) -> str:
        """sha256 over all files' names and contents, from the cache where it is still valid.

        Raises:
            DataError: The folder is incomplete or not in this layout.
        """
        files = [
            file_of(root, folder, kind, number)
            for folder in FOLDERS
            for number in list_images(root, folder, hint=self.download)
            for kind in KINDS
        ]
        return fingerprint_files(root, files, progress)


class Nyuv2(NyuLayoutDataset):
    """NYU Depth v2: 795 training and 654 test images of 288x384 (mtan's pre-processing)."""

    name: ClassVar[str] = "nyuv2"
    title: ClassVar[str] = "NYUv2"
    size: ClassVar[tuple[int, int]] = (288, 384)
    published_counts: ClassVar[Mapping[str, int]] = {"train": 795, "val": 654}
    download: ClassVar[str] = (
        "download the pre-processed NYUv2 (288x384, 13 classes) linked from the README of "
        "github.com/lorenmt/mtan and unpack it so that ROOT/train/image/0.npy exists; "
        "or build it from the dataset's own file: `tabench data prepare --help`"
    )


NYUV2 = Nyuv2()
