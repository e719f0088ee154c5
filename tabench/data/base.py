"""What every dataset provides. NumPy only: planning must not import torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, TypeVar

import numpy as np
import numpy.typing as npt

from tabench.data import draws
from tabench.errors import SpecError
from tabench.text import suggestion

if TYPE_CHECKING:
    from torch import Tensor

Entry = TypeVar("Entry")
Array = npt.NDArray[np.float32]
Progress = Callable[[int, int, str], None]  # done, total, what


@dataclass(frozen=True)
class Sample:
    """One image with its targets."""

    id: str  # stable name of the image, unique inside its split ("val/17")
    image: Array  # (3, H, W) float32 in 0..1
    # "label" (H, W) int64 with -1 = ignore; "depth" (1, H, W) float32 metres, 0 = invalid; "disparity" (1, H,
    # W) float32 without a unit, 0 = invalid; "normal" (3, H, W) float32 unit vectors (shorter where `augment
    # = "paper"` has mixed them), (0, 0, 0) = invalid; "parts", "saliency" and "edge" (H, W) int64 with -1 =
    # ignore
    targets: Mapping[str, npt.NDArray[np.generic]]


@dataclass
class VerifyReport:
    """What ``tabench data verify`` found."""

    root: Path  # the folder that was read
    counts: dict[str, int] = field(default_factory=dict)  # images per split
    # one line a wrong file, with the file's path and what is wrong
    problems: list[str] = field(default_factory=list)
    # findings that do not make the data unusable (other counts than published)
    warnings: list[str] = field(default_factory=list)
    fingerprint: str = ""  # sha256 of the contents; empty if there are problems


class Augmentation(ABC):
    """Draws keyed by (seed, epoch, index), applied to an image or to a batch with the same outcome."""

    @abstractmethod
    def one(self, sample: Sample, seed: int, epoch: int, index: int) -> Sample:
        """Augment the sample at position `index` of its split."""

    @abstractmethod
    def batch(
        self, image: Tensor, targets: Mapping[str, Tensor], seed: int, epoch: int, indices: Sequence[int]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Augment (B, 3, H, W) images and their targets on the device they are on.

        Targets that are not interpolated equal those of `one`; the others do up to rounding.
        """


class Split(ABC):
    """A readable part of a dataset, for example "train" or "val".

    Attributes:
        augmentation: What `load` applies when it is given a draw; None where only `load` knows.
        paper_augmentation: What is applied instead with `augment = "paper"`; None where the released code has
            nothing for such data.
    """

    augmentation: Augmentation | None = None
    paper_augmentation: Augmentation | None = None

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def ids(self) -> list[str]:
        """Image ids in order."""

    @abstractmethod
    def load(self, index: int, *, draw: tuple[int, int] | None = None) -> Sample:
        """Read one image, augmented by draws keyed by (seed, epoch, index) if `draw` is (seed, epoch)."""

    def shape(self, index: int) -> tuple[int, int] | None:
        """(H, W) of an image by its files' headers, None where only reading tells; may raise DataError."""
        return None

    def files(self, index: int) -> Mapping[str, Path]:
        """The file of each kind of array of one image, for messages; empty where they are not known."""
        return {}

    def sources(self, index: int) -> list[Path]:
        """Files that one image is read from; empty where they are not known, and nothing may be cached."""
        return []


class DatasetDef(ABC):
    """A dataset: its tasks, its classes, and how a folder of it is read and checked."""

    name: ClassVar[str]
    title: ClassVar[str]
    synthetic: ClassVar[bool] = False  # whether it is generated: it then has `make` and `recipe_fingerprint`
    stands_for: ClassVar[str] = ""  # registry name of the real dataset whose layout a synthetic one has
    class_names: ClassVar[tuple[str, ...]]
    task_channels: ClassVar[Mapping[str, int]]  # task name -> N_t
    splits: ClassVar[tuple[str, ...]]
    holdout: ClassVar[tuple[str, ...]] = ()  # the two parts of the training images: to train and to select on
    size: ClassVar[tuple[int, int]]  # published (H, W)
    largest: ClassVar[Mapping[str, float]] = {}  # published value of "depth" or "disparity" that none exceeds
    protocols: ClassVar[tuple[str, ...]] = ("paper", "pixel")  # how metrics are taken, the main one first
    paper_augmentation: ClassVar[bool] = False  # whether its splits have one
    download: ClassVar[str]  # where to get it and where to put it, for error messages
    requires: ClassVar[tuple[str, ...]] = ()  # distributions whose versions decide what is read

    @property
    def recipe_file(self) -> str:
        """Name of the file, in a synthetic dataset's folder, that says what was generated there."""
        return f"{self.name}.json"

    def make(self, root: Path, *, progress: Progress | None = None, **sizes: int) -> None:
        """Generate a `synthetic` dataset, or what is missing of it, in a new folder or one of the same sizes.

        The sizes are `seed`, `train` and `val` (images), `height` and `width` (pixels).

        Raises:
            DataError: A size is out of range, or the folder holds something else.
            StoreError: A file cannot be written.
        """
        raise NotImplementedError

    def recipe_fingerprint(self, **sizes: int) -> str:
        """Fingerprint of what `make` makes of these sizes; raises DataError for one that is out of range."""
        raise NotImplementedError

    def classes_of(self, task: str) -> tuple[str, ...]:
        """Names of a task's classes, in the order of its labels; empty for tasks without classes."""
        return self.class_names if task == "segmentation" else ()

    def folder_of(self, split: str) -> str:
        """The part, "train" or "val", that a split's images come from; SpecError for an unknown split."""
        if split not in self.splits:
            hint = suggestion(split, self.splits, "it has")
            raise SpecError(f"dataset '{self.name}' has no split '{split}'", hint=hint)
        return "val" if split == "val" else "train"

    def part(self, split: str, entries: Sequence[Entry]) -> list[Entry]:
        """Those of a folder's entries, in order, that a split holds: all, or one part of the holdout.

        The training images are divided 80/20 as `draws.training_part` draws it.
        """
        if split not in self.holdout:
            return list(entries)
        kept = np.zeros(len(entries), dtype=bool)
        kept[draws.training_part(len(entries))] = True
        wanted = kept if split == self.holdout[0] else ~kept
        return [entry for entry, take in zip(entries, wanted, strict=True) if take]

    @abstractmethod
    def split(self, root: Path, name: str) -> Split:
        """Open a split ("train", "val", or such as "train-159"); DataError names files that are missing."""

    @abstractmethod
    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Read every file and check it; never raises for wrong content."""

    @abstractmethod
    def fingerprint(self, root: Path, progress: Progress | None = None, *, fresh: bool = False) -> str:
        """The content's fingerprint, by cached digests unless `fresh`; DataError for an incomplete folder."""

    def notes(self, root: Path) -> list[str]:
        """What a reader of its results must know of a folder: images left out, other counts than published.

        Told by names alone, within a second, a line each: for `plan`, `run` and the report. Raises DataError
        for an incomplete folder.
        """
        return []
