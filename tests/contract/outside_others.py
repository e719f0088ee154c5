"""Tasks, datasets and an executor of somebody else's package: right ones, and wrong ones that look right."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from tabench.data.array_dataset import ArraySplit
from tabench.data.base import DatasetDef, Progress, Sample, Split, VerifyReport
from tabench.data.nyuv2 import NyuLayoutDataset
from tabench.errors import DataError
from tabench.runs.executor import Job, Listener, Options, Outcome
from tabench.runs.launch import InlineExecutor
from tabench.tasks.base import Evaluation, MetricInfo
from tabench.tasks.distance import Depth
from tabench.tasks.segmentation import Segmentation


class Smoothed(Segmentation):
    """Another loss, which never falls to 0, and names of its own; measured by one process."""

    name = "outside-smoothed"
    supported = protocols = ("pixel",)
    metrics = (MetricInfo("right", "Right", "per mille", "higher"), MetricInfo("none", "None", "", "lower"))

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        valid = target != -1
        loss = F.cross_entropy(raw.float(), target.clamp(min=0), label_smoothing=0.2, reduction="none")
        return torch.where(valid, loss, 0.0).sum() / valid.sum().clamp(min=1)

    def evaluation(self, protocol: str) -> Evaluation:
        return Share()


class Share(Evaluation):
    """Share of the right pixels, over the split."""

    def __init__(self) -> None:
        self.right = self.all = 0

    def update(self, prediction: Tensor, target: Tensor, ids: Sequence[str]) -> None:
        self.right += int((prediction.argmax(1) == target).sum())
        self.all += int((target != -1).sum())

    def compute(self) -> dict[str, float]:
        return {"right": 1000 * self.right / self.all if self.all else float("nan"), "none": float("nan")}

    def per_image(self) -> dict[str, dict[str, float]]:
        return {}


class Everywhere(Depth):
    """A loss that sees the pixels without a depth."""

    name = "outside-everywhere"

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw.float() - target).abs().mean() * (target > 0).any()


class Undefined(Depth):
    """A loss that is NaN where nothing is labelled."""

    name = "outside-undefined"

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        return (raw.float() - target).abs()[target > 0].mean()


class Turned(Depth):
    """An error of which more is said to be better."""

    name = "outside-turned"
    metrics = (Depth.metrics[0], replace(Depth.metrics[1], better="higher"))


class OfBatches(Depth):
    """A mean of the batches' means."""

    name = "outside-of-batches"
    metrics = Depth.metrics[:1]

    def evaluation(self, protocol: str) -> Evaluation:
        return BatchMeans()


class BatchMeans(Share):
    def __init__(self) -> None:
        self.means: list[float] = []

    def update(self, prediction: Tensor, target: Tensor, ids: Sequence[str]) -> None:
        if (target > 0).any():
            self.means.append(float((prediction - target).abs()[target > 0].mean()))

    def compute(self) -> dict[str, float]:
        return {"abs_err": float(np.mean(self.means)) if self.means else float("nan")}


class Rooms(NyuLayoutDataset):
    """Another folder in the same layout, with fewer classes and one task of the same package."""

    name = "outside-rooms"
    title = "Rooms"
    class_names = ("floor", "wall", "rest")
    task_channels = {"segmentation": 3, "outside-smoothed": 3, "depth": 1, "normals": 3}  # noqa: RUF012
    splits = ("train", "val")
    holdout = ()
    size = (48, 64)
    download = "ask its makers"


class Unkeyed(Rooms):
    """Draws on from where the last draw ended."""

    name = "outside-unkeyed"

    def split(self, root: Path, name: str) -> ArraySplit:
        split = super().split(root, name)
        dice, load = np.random.default_rng(0), split.load

        def drawn(index: int, *, draw: tuple[int, int] | None = None) -> Sample:
            return load(index, draw=draw and (int(dice.integers(2**31)), draw[1]))

        split.load = drawn  # type: ignore[method-assign]
        return split


class Trusting(Rooms):
    """Verifies nothing."""

    name = "outside-trusting"

    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        report = super().verify(root, progress)
        report.problems, report.fingerprint = [], self.fingerprint(root)
        return report


class Named(Rooms):
    """Knows its files by their names alone."""

    name = "outside-named"

    def fingerprint(self, root: Path, progress: Progress | None = None, *, fresh: bool = False) -> str:
        super().fingerprint(root)
        names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.npy"))
        return hashlib.sha256("".join(names).encode()).hexdigest()


class Archives(DatasetDef):
    """A layout of its own, one archive an image; the battery finds a folder of it in TABENCH_DATA."""

    name = "outside-archives"
    title = "Archives"
    class_names = ()
    task_channels = {"depth": 1}  # noqa: RUF012
    splits = ("train", "val")
    size = (20, 30)
    download = "ask its makers"

    def files(self, root: Path, folder: str) -> list[Path]:
        found = sorted((root / folder).glob("*.npz"))
        if not found:
            raise DataError("no image here", where=str(root / folder), hint=self.download)
        return found

    def split(self, root: Path, name: str) -> Split:
        return ArchiveSplit(self.files(root, self.folder_of(name)))

    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        report = VerifyReport(root)
        for folder in self.splits:
            try:
                split = self.split(root, folder)
            except DataError as error:
                report.problems.append(str(error))
                continue
            report.counts[folder] = len(split)
            for index in range(len(split)):
                try:
                    split.load(index)
                except DataError as error:
                    report.problems.append(str(error))
                if progress is not None:
                    progress(index + 1, len(split), folder)
        report.fingerprint = "" if report.problems else self.fingerprint(root)
        return report

    def fingerprint(self, root: Path, progress: Progress | None = None, *, fresh: bool = False) -> str:
        digest = hashlib.sha256()
        for path in (path for folder in self.splits for path in self.files(root, folder)):
            digest.update(path.relative_to(root).as_posix().encode() + path.read_bytes())
        return digest.hexdigest()


class ArchiveSplit(Split):
    def __init__(self, files: list[Path]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    @property
    def ids(self) -> list[str]:
        return [f"{path.parent.name}/{path.stem}" for path in self.files]

    def load(self, index: int, *, draw: tuple[int, int] | None = None) -> Sample:
        try:
            with np.load(self.files[index]) as held:
                image, depth = held["image"], held["depth"]
        except Exception as error:
            raise DataError(f"cannot be read: {error}", where=str(self.files[index])) from error
        if draw is not None:
            image = image * np.float32(np.random.default_rng((*draw, index)).uniform(0.5, 1))
        return Sample(self.ids[index], image, {"depth": depth})

    def sources(self, index: int) -> list[Path]:
        return [self.files[index]]


def write_archives(root: Path) -> None:
    """Three images of Archives to train on, two to measure."""
    dice = np.random.default_rng(0)
    for folder, count in (("train", 3), ("val", 2)):
        (root / folder).mkdir(parents=True)
        for number in range(count):
            image, depth = dice.random((3, 20, 30), np.float32), dice.random((1, 20, 30), np.float32)
            np.savez(root / folder / f"image{number}.npz", image=image, depth=depth)


class Forgetful:
    """Says nothing of cells that fail."""

    def run(self, jobs: Sequence[Job], options: Options, listener: Listener) -> list[Outcome]:
        outcomes = InlineExecutor().run(jobs, options, listener)
        return [outcome for outcome in outcomes if outcome.state != "failed"]


Entries = dict[str, Any]
TASKS: Entries = {kind.name: kind for kind in (Smoothed, Everywhere, Undefined, Turned, OfBatches)}
DATASETS: Entries = {kind.name: kind() for kind in (Rooms, Unkeyed, Trusting, Named, Archives)}
EXECUTORS: dict[str, Callable[[], object]] = {"outside-forgetful": Forgetful}
WRONG = {  # test to what must fail it
    "test_the_loss_sees_labelled_pixels_alone_and_falls": "outside-everywhere",
    "test_the_loss_is_zero_with_a_gradient_where_nothing_is_labelled": "outside-undefined",
    "test_every_metric_is_computed_and_points_the_right_way": "outside-turned",
    "test_neither_batches_nor_their_order_change_a_number": "outside-of-batches",
    "test_draws_depend_on_seed_epoch_and_image_alone": "outside-unkeyed",
    "test_verify_accepts_a_sound_folder_and_names_a_damaged_file": "outside-trusting",
    "test_the_fingerprint_tells_contents_apart": "outside-named",
    "test_a_cell_that_fails_stops_no_other": "outside-forgetful",
}
