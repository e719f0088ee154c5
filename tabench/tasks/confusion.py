"""Segmentation metrics from confusion matrices, in every protocol.

One matrix is summed over the split. mIoU is the mean over classes of
tp / (tp + fp + fn) on labelled pixels. A class absent from both prediction and target has no
IoU: "paper" and "libmtl" then have no mIoU (NaN, mean over ALL classes), "pixel" leaves the class out, and
"pascal" and "pascal-rms" count it as 0, by tp / max(tp + fp + fn, 1e-8) of the field's code for
PASCAL-Context.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tabench.tasks.accumulator import Accumulator, Measured, Row, sorted_by
from tabench.tasks.base import Parts

if TYPE_CHECKING:
    from torch import Tensor

Counts = npt.NDArray[np.int64]

ABSENT = {
    "paper": "mIoU over all classes is undefined",
    "libmtl": "mIoU over all classes is undefined",
    "pixel": "mIoU is the mean over the other {others}",
    "pascal": "each counts as 0 in mIoU",
    "pascal-rms": "each counts as 0 in mIoU",
}  # what a class in neither prediction nor target does


@dataclass
class _Counted(Measured):
    """What all protocols read: counts (C, C) of all images, and metric key to {image id: value}."""

    matrix: Counts = field(default_factory=lambda: np.zeros((0, 0), np.int64))
    per_image: dict[str, dict[str, float]] = field(default_factory=dict)


class ConfusionEvaluation(Accumulator[_Counted]):
    """Accumulates an exact confusion matrix (integers) and each image's metrics that `keys` names.

    Predictions are scores (B, C, H, W), targets labels (B, H, W), -1 = ignore. The protocol is a key of
    `ABSENT`; class names are for the notes, and numbers are used if they are not `channels` many.
    """

    def __init__(
        self,
        protocol: str,
        channels: int,
        classes: Sequence[str] = (),
        keys: Sequence[str] = ("miou", "pacc"),
    ) -> None:
        matrix = np.zeros((channels, channels), dtype=np.int64)
        super().__init__(protocol, _Counted(matrix=matrix, per_image={key: {} for key in keys}))
        self._names = list(classes) if len(classes) == channels else [str(c) for c in range(channels)]

    def _alike(self) -> object:
        return ConfusionEvaluation, len(self._held.matrix), list(self._held.per_image)

    def _add(self, image_id: str, prediction: Tensor, target: Tensor) -> None:
        guess = prediction.max(dim=0).indices.cpu().numpy()  # argmax, three times as fast
        self._add_matrix(image_id, confusion(guess, target.cpu().numpy(), len(self._held.matrix)))

    def _rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        return confusion_on_device(prediction.argmax(dim=1), target, len(self._held.matrix)).flatten(1)

    def _add_row(self, image_id: str, row: Row) -> None:
        self._add_matrix(image_id, row.astype(np.int64).reshape(self._held.matrix.shape))

    def _add_matrix(self, image_id: str, matrix: Counts) -> None:
        if not matrix.any():
            return
        held = self._held
        held.matrix += matrix
        if "miou" in held.per_image:
            held.per_image["miou"][image_id] = 100 * float(np.nanmean(class_ious(matrix)))
        if "pacc" in held.per_image:
            held.per_image["pacc"][image_id] = pixel_accuracy(matrix)

    def _measured(self) -> Mapping[str, object]:
        return next(iter(self._held.per_image.values()))

    def compute(self) -> dict[str, float]:
        """Mean IoU and pixel accuracy, in percent; NaN if no pixel is labelled."""
        self._settle()
        if not self._held.matrix.any():
            return dict.fromkeys(self._held.per_image, math.nan)
        values = {"miou": 100 * self._mean_iou(), "pacc": pixel_accuracy(self._held.matrix)}
        return {key: values[key] for key in self._held.per_image}

    def _mean_iou(self) -> float:
        ious = class_ious(self._held.matrix)
        if self.protocol == "pixel":
            return float(np.nanmean(ious))
        zeroed = self.protocol in ("pascal", "pascal-rms")
        return float(np.mean(np.nan_to_num(ious) if zeroed else ious))

    def per_image(self) -> dict[str, dict[str, float]]:
        """The metrics on each image's own matrix.

        mIoU of an image is the mean over the classes in its prediction or target, whatever the
        protocol, since few images hold all classes.
        """
        self._settle()
        return {key: dict(held) for key, held in self._held.per_image.items()}

    def notes(self) -> list[str]:
        """Absent classes and what they did to mIoU; images without a label."""
        notes = super().notes()
        ious = class_ious(self._held.matrix)
        absent = [name for name, iou in zip(self._names, ious, strict=True) if iou != iou]
        if absent:
            effect = ABSENT[self.protocol].format(others=len(self._names) - len(absent))
            notes.append(
                f"{len(absent)} of {len(self._names)} classes absent from prediction and target "
                f"({', '.join(absent)}): {effect}"
            )
        return notes

    def _arrays(self) -> Parts:
        rows = [list(of_image.values()) for of_image in self._held.per_image.values()]
        return {"matrix": self._held.matrix, "values": np.array(rows, np.float64)}

    def _absorb(self, images: list[str], parts: Parts, order: Sequence[str]) -> None:
        held = self._held
        held.matrix += parts["matrix"]
        for (key, of_image), row in zip(held.per_image.items(), parts["values"], strict=True):
            of_image |= dict(zip(images, row.tolist(), strict=True))
            held.per_image[key] = sorted_by(order, of_image)


def confusion(guess: npt.NDArray[np.int64], label: npt.NDArray[np.int64], channels: int) -> Counts:
    """(C, C) counts over pixels with a label >= 0; rows are true, columns predicted classes."""
    labelled = label >= 0
    # Each pair of classes is one number, so that one count of numbers is the whole matrix.
    pairs = label[labelled] * channels + guess[labelled]
    counts: Counts = np.bincount(pairs, minlength=channels * channels).reshape(channels, channels)
    return counts


def confusion_on_device(guess: Tensor, label: Tensor, channels: int) -> Tensor:
    """`confusion` of a batch (B, H, W) on any device, (B, C, C), without a loop over it or a wait."""
    import torch

    # products of 0 and 1 summed in float32: exact up to 2**24 pixels, and in no order that could matter
    classes = torch.arange(channels, device=label.device)[:, None]
    true = (label.flatten(1)[:, None] == classes).float()
    predicted = (guess.flatten(1)[:, None] == classes).float()
    return true @ predicted.transpose(1, 2)


def class_ious(matrix: Counts) -> npt.NDArray[np.float64]:
    """(C,) tp / (tp + fp + fn) in 0..1; NaN for a class in neither prediction nor target."""
    hit = np.diag(matrix).astype(np.float64)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
    ious: npt.NDArray[np.float64] = np.where(union > 0, hit / np.maximum(union, 1), np.nan)
    return ious


def pixel_accuracy(matrix: Counts) -> float:
    """Share of labelled pixels that are right, in percent."""
    return 100 * int(np.trace(matrix)) / int(matrix.sum())
