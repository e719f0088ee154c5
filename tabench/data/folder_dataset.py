"""Datasets that are a folder of files, several for each image: how one is opened, checked and identified.

A layout says three things: which images a folder has, which files each has and how each file is read
(`FolderSplit.readers`), and how what was read becomes a sample (`FolderSplit.assemble`).
"""

from __future__ import annotations

from abc import abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from tabench.data.base import DatasetDef, Progress, Sample, Split, VerifyReport
from tabench.data.checks import Checks, twins
from tabench.data.fingerprint import fingerprint_files
from tabench.data.listing import count_notes, left_out_notes
from tabench.errors import DataError

FOLDERS = ("train", "val")
VERIFY = "`tabench data verify NAME --root ROOT` names every wrong file of a dataset"
T = TypeVar("T")


class FolderSplit(Split):
    """Images of "train" or "val" by their numbers or names, read from disk on demand."""

    def __init__(self, root: Path, folder: str, names: Sequence[Any]) -> None:
        self.root, self.folder, self.names = root, folder, list(names)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ids(self) -> list[str]:
        """Folder and name, for example "val/17"."""
        return [f"{self.folder}/{name}" for name in self.names]

    def ready(self) -> Self:
        """Itself, with what all its images need read; raises DataError where that is damaged."""
        return self

    @abstractmethod
    def files(self, index: int) -> dict[str, Path]:
        """A file of each kind."""

    @abstractmethod
    def readers(self, index: int, *, every: bool = False) -> dict[str, Callable[[], Any]]:
        """What reads each file of an image; with `every` also files that `load` can do without."""

    @abstractmethod
    def assemble(self, index: int, read: Mapping[str, Any]) -> Sample:
        """The sample of what the readers gave; raises DataError where it does not fit together."""

    def load(self, index: int, *, draw: tuple[int, int] | None = None) -> Sample:
        """Read one image; see `Split.load`."""
        sample = self.assemble(index, {kind: read() for kind, read in self.readers(index).items()})
        if draw is None:
            return sample
        assert self.augmentation is not None  # every layout has one
        return self.augmentation.one(sample, *draw, index)

    def sources(self, index: int) -> list[Path]:
        """The files of one image."""
        return list(self.files(index).values())


class FolderDataset(DatasetDef):
    """Any dataset in such a folder.

    Splits: "train" and "val" are its two parts; the two parts of `holdout` divide the training images.

    Attributes:
        published_counts: Images of each part of the complete dataset; others give a warning.
    """

    published_counts: ClassVar[Mapping[str, int]] = {}

    @abstractmethod
    def names(self, root: Path, folder: str) -> list[Any]:
        """Numbers or names of the images of "train" or "val", in order.

        Raises:
            DataError: There is none, or some lack files; the message names which image lacks what.
        """

    @abstractmethod
    def open(self, root: Path, folder: str, names: Sequence[Any]) -> FolderSplit:
        """The split of these images."""

    def target_size(self, root: Path) -> tuple[int, int]:
        """(H, W) that the images of a folder are expected at."""
        return self.size

    def listed(self, root: Path, folder: str) -> list[Path]:
        """Files besides the images' own that decide what a split holds."""
        return []

    def name_notes(self, root: Path, names: Mapping[str, Sequence[Any]]) -> list[str]:
        """What is worth knowing of the images' names besides their counts."""
        return []

    def split(self, root: Path, name: str) -> FolderSplit:
        """Open a split; see `DatasetDef.split`."""
        folder = self.folder_of(name)
        return self.open(root, folder, self.part(name, self.names(root, folder))).ready()

    def _whole(self, root: Path, folder: str) -> FolderSplit:
        return self.open(root, folder, self.names(root, folder))

    def _ready(self, root: Path, folder: str) -> FolderSplit:
        return self._whole(root, folder).ready()

    def notes(self, root: Path) -> list[str]:
        """Other counts than published, images left out; see `DatasetDef.notes`."""
        names = {folder: self.names(root, folder) for folder in FOLDERS}
        counts = count_notes({folder: len(found) for folder, found in names.items()}, self.published_counts)
        return [*counts, *self.name_notes(root, names), *left_out_notes(root)]

    def fingerprint(self, root: Path, progress: Progress | None = None, *, fresh: bool = False) -> str:
        """sha256 over all files' names and contents; see `DatasetDef.fingerprint`."""
        paths: list[Path] = []
        for folder in FOLDERS:
            split = self._whole(root, folder)
            paths += self.listed(root, folder)
            paths += [path for index in range(len(split)) for path in split.files(index).values()]
        return fingerprint_files(root, paths, progress, fresh=fresh)

    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Read every file and check it; see `verify_files`."""
        report = self.verify_files(root, progress)
        if not report.problems:
            report.fingerprint = self.fingerprint(root, progress, fresh=True)
        return report

    def verify_files(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Check every file: readable, of the right content, fitting the others of its image, and `Checks`.

        Returns:
            The findings without a fingerprint. Content never makes this raise.
        """
        report = VerifyReport(root)

        def sound(read: Callable[[], T]) -> T | None:
            try:
                return read()
            except DataError as error:
                report.problems.append(f"{error.where}: {error.message}")
                return None

        splits: dict[str, FolderSplit] = {}
        for folder in FOLDERS:
            split = sound(partial(self._ready, root, folder))
            splits |= {} if split is None else {folder: split}
        report.counts = {folder: len(split) for folder, split in splits.items()}
        if len(splits) == len(FOLDERS):
            # this class' own: what another adds is true of every folder, and no finding
            report.warnings += sound(partial(FolderDataset.notes, self, root)) or []
        checks = {folder: Checks(self.class_names, self.largest) for folder in FOLDERS}
        sizes: Counter[str] = Counter()
        jobs = [(folder, index) for folder, split in splits.items() for index in range(len(split))]
        for done, (folder, index) in enumerate(jobs, start=1):
            split, before = splits[folder], len(report.problems)
            read = {kind: sound(reader) for kind, reader in split.readers(index, every=True).items()}
            sample = None
            if len(report.problems) == before:
                sample = sound(partial(split.assemble, index, read))
            if sample is not None:
                sizes["x".join(map(str, sample.image.shape[1:]))] += 1
                for kind, problem in checks[folder].faults(sample):
                    place = split.files(index).get(kind, sample.id)
                    report.problems.append(f"{place}: {problem}")
            if progress is not None:
                progress(done, len(jobs), f"read {split.ids[index]}")
        for folder, found in checks.items():
            report.problems += [f"{root}, {folder}: {line}" for line in found.problems()]
            report.warnings += [f"{folder}: {line}" for line in found.warnings()]
        report.warnings += twins(*checks.values())
        expected = "x".join(map(str, self.target_size(root))) if jobs else ""
        report.warnings += [
            f"{count} images of {size}, expected is {expected}"
            for size, count in sorted(sizes.items())
            if size != expected
        ]
        return report
