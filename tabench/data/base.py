"""What every dataset provides. NumPy only: planning must not import torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]
Progress = Callable[[int, int, str], None]  # done, total, what


@dataclass(frozen=True)
class Sample:
    """One image with its targets.

    Attributes:
        id: Stable name of the image, unique inside its split ("val/17").
        image: (3, H, W) float32 in 0..1.
        targets: "label" (H, W) int64 with -1 = ignore; "depth" (1, H, W) float32 metres,
            0 = invalid; "disparity" (1, H, W) float32 without a unit, 0 = invalid; "normal"
            (3, H, W) float32 unit vectors, (0, 0, 0) = invalid; "parts", "saliency" and "edge"
            (H, W) int64 with -1 = ignore.
    """

    id: str
    image: Array
    targets: Mapping[str, npt.NDArray[np.generic]]


@dataclass
class VerifyReport:
    """What ``tabench data verify`` found.

    Attributes:
        root: The folder that was read.
        counts: Images per split.
        problems: One line a wrong file, with the file's path and what is wrong.
        warnings: Findings that do not make the data unusable (other counts than published).
        facts: Numbers worth printing (class histogram, depth range, dtypes).
        fingerprint: sha256 of the contents; empty if there are problems.
    """

    root: Path
    counts: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)
    fingerprint: str = ""


class Split(ABC):
    """A readable part of a dataset, for example "train" or "val"."""

    @abstractmethod
    def __len__(self) -> int: ...

    @property
    @abstractmethod
    def ids(self) -> list[str]:
        """Image ids in order."""

    @abstractmethod
    def load(self, index: int, *, draw: tuple[int, int] | None = None) -> Sample:
        """Read one image.

        Args:
            index: Position in the split.
            draw: (seed, epoch) to augment with draws keyed by (seed, epoch, index);
                None reads the image as it is.
        """


class DatasetDef(ABC):
    """A dataset: its tasks, its classes, and how a folder of it is read and checked."""

    name: ClassVar[str]
    title: ClassVar[str]
    synthetic: ClassVar[bool] = False
    class_names: ClassVar[tuple[str, ...]]
    task_channels: ClassVar[Mapping[str, int]]  # task name -> N_t
    splits: ClassVar[tuple[str, ...]]
    size: ClassVar[tuple[int, int]]  # published (H, W)
    protocols: ClassVar[tuple[str, ...]] = ("paper", "pixel")  # how metrics are taken, the main one first
    download: ClassVar[str]  # where to get it and where to put it, for error messages

    def classes_of(self, task: str) -> tuple[str, ...]:
        """Names of a task's classes, in the order of its labels; empty for tasks without classes."""
        return self.class_names if task == "segmentation" else ()

    @abstractmethod
    def split(self, root: Path, name: str) -> Split:
        """Open a split ("train", "val", or a part of the training images such as "train-159").

        Raises:
            DataError: Files are missing; the message names them.
        """

    @abstractmethod
    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Read every file and check it; never raises for wrong content."""

    @abstractmethod
    def fingerprint(self, root: Path, progress: Progress | None = None) -> str:
        """The content's fingerprint, from the cache beside the data if it is still valid.

        Raises:
            DataError: The folder is not this dataset.
        """
