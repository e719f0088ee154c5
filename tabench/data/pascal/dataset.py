"""PASCAL-Context as a dataset of five tasks, read from a folder in the layout of PASCAL_MT."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from tabench.data.base import DatasetDef, Progress, Sample, Split, VerifyReport
from tabench.data.fingerprint import fingerprint_files
from tabench.data.flip_turn import FlipTurn
from tabench.data.images import shape_of
from tabench.data.listing import is_file
from tabench.data.pascal import files
from tabench.data.pascal.classes import CLASSES_21, NORMAL_CLASSES, PERSON
from tabench.data.pascal.reading import check_same_shape, read_sample
from tabench.data.pascal.verify import CLASSES_OF, verify_pascal
from tabench.data.prepare.guide import GUIDES


class PascalSplit(Split):
    """Images of a list ("train" or "val"), read from disk on demand and resized to `size` (H, W)."""

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
        self.root = root
        self.folder = folder
        self.names = list(names)
        self.classes = classes
        self.size = size
        self.normal_classes = normal_classes
        self._index = files.read_index(root, folder)

    def __len__(self) -> int:
        return len(self.names)

    @property
    def ids(self) -> list[str]:
        """Folder and name, for example "val/2008_000026"."""
        return [f"{self.folder}/{name}" for name in self.names]

    def load(self, index: int, *, draw: tuple[int, int] | None = None) -> Sample:
        """Read one image; see `Split.load`."""
        name = self.names[index]
        image, targets = read_sample(
            self.root,
            name,
            self.classes,
            self.size,
            person=PERSON in self._index.get(name, [PERSON]),
            normal_classes=self.normal_classes,
        )
        sample = Sample(f"{self.folder}/{name}", image, targets)
        return sample if draw is None else self.augmentation.one(sample, *draw, index)

    def shape(self, index: int) -> tuple[int, int]:
        """The size that all are resized to; see `Split.shape`."""
        paths = files.files_of(self.root, self.names[index])
        photo, label = shape_of(paths["image"], "JPEG"), shape_of(paths["label"], "PNG")
        check_same_shape(paths["label"], label, photo)
        return self.size

    def files(self, index: int) -> dict[str, Path]:
        """The image's six files; its edges are drawn from those of "context"."""
        return files.files_of(self.root, self.names[index])

    def sources(self, index: int) -> list[Path]:
        """The image's files, and the index that says who is on it."""
        listed = files.index_file(self.root, self.folder)
        return [*self.files(index).values(), *([listed] if is_file(listed) else [])]


class PascalContextDataset(DatasetDef):
    """Any folder in the layout of PASCAL_MT; the published one has 4998 training and 5105 validation images.

    Splits: "train" and "val" are the two lists; "train-3998" and "train-1000" divide the training list 80/20
    (another number of images likewise), to select on images that are not trained on.

    Attributes:
        normal_classes: LabelMap classes that normals are kept on: the field's rule. None, in a subclass,
            keeps all valid normals.
        published_counts: Images per list of the complete dataset; others give a warning.
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

    def target_size(self, root: Path) -> tuple[int, int]:
        """(H, W) that images and targets of a folder are resized to."""
        return self.size

    def split(self, root: Path, name: str) -> PascalSplit:
        """Open a split; see `DatasetDef.split`. Images that are in both lists are refused."""
        folder = self.folder_of(name)
        names = files.read_apart(root, folder, hint=self.download)
        files.check_complete({folder: names}, files.held_files(root), str(root), self.download)
        names, classes = self.part(name, names), len(self.class_names)
        return PascalSplit(root, folder, names, classes, self.target_size(root), self.normal_classes)

    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Read every file and check it; see `verify_pascal`."""
        report = verify_pascal(
            root,
            class_names=self.class_names,
            published_counts=self.published_counts,
            normal_classes=self.normal_classes,
            hint=self.download,
            progress=progress,
        )
        if not report.problems:
            report.fingerprint = self.fingerprint(root, progress, fresh=True)
        return report

    def notes(self, root: Path) -> list[str]:
        """Other counts than published, and images in no list; see `DatasetDef.notes`."""
        names = {folder: files.read_list(root, folder, hint=self.download) for folder in files.FOLDERS}
        return files.list_notes(root, names, self.published_counts)

    def fingerprint(self, root: Path, progress: Progress | None = None, *, fresh: bool = False) -> str:
        """sha256 over all files' names and contents; see `DatasetDef.fingerprint`."""
        paths: list[Path] = []
        held = files.held_files(root)
        for folder in files.FOLDERS:
            names = files.read_list(root, folder, hint=self.download)
            files.check_complete({folder: names}, held, str(root), self.download)
            paths += [files.list_file(root, folder)]
            paths += [files.index_file(root, folder)] if is_file(files.index_file(root, folder)) else []
            paths += [path for name in names for path in files.files_of(root, name).values()]
        return fingerprint_files(root, paths, progress, fresh=fresh)


PASCAL_CONTEXT = PascalContextDataset()
