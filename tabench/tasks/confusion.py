"""Segmentation metrics from confusion matrices, in every protocol.

One matrix is summed over the split. mIoU is the mean over classes of
tp / (tp + fp + fn) on labelled pixels. A class absent from both prediction and target has no
IoU: "paper" then has no mIoU (NaN, mean over ALL classes), "pixel" leaves the class out, and "pascal" counts
it as 0, by tp / max(tp + fp + fn, 1e-8) of the field's code for PASCAL-Context.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from tabench.tasks.accumulation import check_finite, check_protocol, claim_id, skipped_note
from tabench.tasks.base import Evaluation

Counts = npt.NDArray[np.int64]


class ConfusionEvaluation(Evaluation):
    """Accumulates an exact confusion matrix (integers) and each image's two metrics.

    Args:
        protocol: "paper", "pixel" or "pascal".
        channels: Number of classes.
        classes: Class names for the notes; numbers are used if they are not `channels` many.
        keys: Which of the two metrics are given.
    """

    def __init__(
        self,
        protocol: str,
        channels: int,
        classes: Sequence[str] = (),
        keys: Sequence[str] = ("miou", "pacc"),
    ) -> None:
        check_protocol(protocol)
        self.protocol = protocol
        self.matrix: Counts = np.zeros((channels, channels), dtype=np.int64)
        self._names = list(classes) if len(classes) == channels else [str(c) for c in range(channels)]
        self._seen: set[str] = set()
        self._labelled = 0
        self._per_image: dict[str, dict[str, float]] = {key: {} for key in keys}

    def update(self, prediction: Tensor, target: Tensor, ids: Sequence[str]) -> None:
        """Add a batch: scores (B, C, H, W) and labels (B, H, W), -1 = ignore, on any device.

        Raises:
            DivergedError: A prediction is not finite.
            ValueError: An image id comes twice.
        """
        check_finite(prediction, ids)
        guesses = prediction.detach().argmax(dim=1).cpu().numpy()
        for image_id, guess, label in zip(ids, guesses, target.cpu().numpy(), strict=True):
            claim_id(self._seen, image_id)
            matrix = confusion(guess, label, len(self.matrix))
            if not matrix.any():
                continue
            self.matrix += matrix
            self._labelled += 1
            if "miou" in self._per_image:
                self._per_image["miou"][image_id] = 100 * float(np.nanmean(class_ious(matrix)))
            if "pacc" in self._per_image:
                self._per_image["pacc"][image_id] = pixel_accuracy(matrix)

    def compute(self) -> dict[str, float]:
        """Mean IoU and pixel accuracy, in percent; NaN if no pixel is labelled."""
        if not self.matrix.any():
            return dict.fromkeys(self._per_image, math.nan)
        values = {"miou": 100 * self._mean_iou(), "pacc": pixel_accuracy(self.matrix)}
        return {key: values[key] for key in self._per_image}

    def _mean_iou(self) -> float:
        ious = class_ious(self.matrix)
        if self.protocol == "pixel":
            return float(np.nanmean(ious))
        return float(np.mean(np.nan_to_num(ious) if self.protocol == "pascal" else ious))

    def per_image(self) -> dict[str, dict[str, float]]:
        """The metrics on each image's own matrix.

        mIoU of an image is the mean over the classes in its prediction or target, whatever the
        protocol, since few images hold all classes.
        """
        return {key: dict(held) for key, held in self._per_image.items()}

    def notes(self) -> list[str]:
        """Absent classes and what they did to mIoU; images without a label."""
        absent = [name for name, iou in zip(self._names, class_ious(self.matrix), strict=True) if iou != iou]
        notes = skipped_note(len(self._seen) - self._labelled)
        if absent:
            effect = {
                "paper": "mIoU over all classes is undefined",
                "pixel": f"mIoU is the mean over the other {len(self._names) - len(absent)}",
                "pascal": "each counts as 0 in mIoU",
            }[self.protocol]
            notes.append(
                f"{len(absent)} of {len(self._names)} classes absent from prediction and target "
                f"({', '.join(absent)}): {effect}"
            )
        return notes


def confusion(guess: npt.NDArray[np.int64], label: npt.NDArray[np.int64], channels: int) -> Counts:
    """(C, C) counts over pixels with a label >= 0; rows are true, columns predicted classes."""
    labelled = label >= 0
    pairs = label[labelled] * channels + guess[labelled]
    counts: Counts = np.bincount(pairs, minlength=channels * channels).reshape(channels, channels)
    return counts


def class_ious(matrix: Counts) -> npt.NDArray[np.float64]:
    """(C,) tp / (tp + fp + fn) in 0..1; NaN for a class in neither prediction nor target."""
    hit = np.diag(matrix).astype(np.float64)
    union = matrix.sum(axis=0) + matrix.sum(axis=1) - np.diag(matrix)
    ious: npt.NDArray[np.float64] = np.where(union > 0, hit / np.maximum(union, 1), np.nan)
    return ious


def pixel_accuracy(matrix: Counts) -> float:
    """Share of labelled pixels that are right, in percent."""
    return 100 * int(np.trace(matrix)) / int(matrix.sum())
