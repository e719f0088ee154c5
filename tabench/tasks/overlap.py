"""Overlap of thresholded probabilities with a mask: Jaccard index and F at the best threshold of a split."""

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

EPSILON = 1e-12  # of the field's code: keeps 0 / 0 at 0

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass
class _Counted(Measured):
    """What all protocols read: of images with a valid pixel (3, K) hits, false alarms and misses."""

    counts: dict[str, Counts] = field(default_factory=dict)


class OverlapEvaluation(Accumulator[_Counted]):
    """Counts hits, false alarms and misses of each image at every threshold.

    Predictions are probabilities (B, 1, H, W), targets labels (B, H, W) of 1, 0 and -1 = ignore. "max_iou" is
    the largest, over the thresholds, of the split's Jaccard index, "max_f" that of 2 P R / (P + R); one
    threshold serves the whole split. Not pooled, the index, P and R are means over the images (an image
    without a positive pixel and without a prediction has the index 1); pooled, they come from the counts of
    all images together.

    Args:
        protocol: One of `PROTOCOLS`.
        thresholds: Probabilities; a pixel is predicted where it is strictly above.
        pooled: Take the ratios once over all pixels, not once an image.
        keys: Which of the two metrics are given.
        remarks: Notes that every reader of these values needs.
    """

    def __init__(
        self,
        protocol: str,
        thresholds: Sequence[float],
        *,
        pooled: bool,
        keys: Sequence[str],
        remarks: Sequence[str] = (),
    ) -> None:
        super().__init__(protocol, _Counted())
        self.thresholds = np.asarray(thresholds, np.float64)
        self.pooled = pooled
        self.keys = tuple(keys)
        self._remarks = list(remarks)
        self._sent: Tensor | None = None

    def _alike(self) -> object:
        return OverlapEvaluation, self.thresholds.tolist()

    def _add(self, image_id: str, prediction: Tensor, target: Tensor) -> None:
        labels = target.cpu().numpy()
        valid = labels >= 0
        if valid.any():
            probability = prediction[0].cpu().double().numpy()[valid]
            self._held.counts[image_id] = counted(probability, labels[valid] > 0, self.thresholds)

    def _rows(self, prediction: Tensor, target: Tensor) -> Tensor:
        if self._sent is None:  # a copy that is waited for, once an evaluation
            import torch

            self._sent = torch.from_numpy(self.thresholds).to(prediction.device)
        return counted_on_device(prediction[:, 0], target, self._sent)

    def _add_row(self, image_id: str, row: Row) -> None:
        if row[-1]:  # the number of valid pixels
            self._held.counts[image_id] = row[:-1].astype(np.int64).reshape(3, -1)

    def _measured(self) -> Mapping[str, object]:
        return self._held.counts

    def compute(self) -> dict[str, float]:
        """Metric key to percent; NaN if no image had a valid pixel."""
        self._settle()
        if not self._held.counts:
            return dict.fromkeys(self.keys, math.nan)
        per_image = np.stack(list(self._held.counts.values()))
        if self.pooled:
            index, precision, recall = ratios(per_image.sum(axis=0))
        else:
            index, precision, recall = (_means(row) for row in ratios(per_image))
        return self._best(index, precision, recall)

    def per_image(self) -> dict[str, dict[str, float]]:
        """Each metric on each image alone, at that image's own best threshold."""
        self._settle()
        alone = {image_id: self._best(*ratios(counts)) for image_id, counts in self._held.counts.items()}
        return {key: {image_id: values[key] for image_id, values in alone.items()} for key in self.keys}

    def notes(self) -> list[str]:
        """How many images had no valid pixel, whether none had a positive one, and the remarks."""
        found = super().notes()
        counts = self._held.counts.values()
        if counts and not any(count[0].any() or count[2].any() for count in counts):
            found.append("no image has a positive pixel: predicting nothing scores 100 in the Jaccard index")
        return [*found, *self._remarks]

    def _arrays(self) -> Parts:
        counts = list(self._held.counts.values())
        return {"counts": np.stack(counts) if counts else np.zeros((0, 3, self.thresholds.size), np.int64)}

    def _absorb(self, images: list[str], parts: Parts, order: Sequence[str]) -> None:
        self._held.counts |= dict(zip(images, parts["counts"], strict=True))
        self._held.counts = sorted_by(order, self._held.counts)

    def _best(self, index: Values, precision: Values, recall: Values) -> dict[str, float]:
        f = 2 * precision * recall / (precision + recall + EPSILON)
        values = {"max_iou": 100 * float(index.max()), "max_f": 100 * float(f.max())}
        return {key: values[key] for key in self.keys}


def counted(probability: Values, truth: npt.NDArray[np.bool_], thresholds: Values) -> Counts:
    """(3, K) hits, false alarms and misses of 1-D pixels at K thresholds."""
    # ascending values: the pixels above a threshold are those behind its place
    hits = _above(np.sort(probability[truth]), thresholds)
    return np.stack([hits, _above(np.sort(probability[~truth]), thresholds), int(truth.sum()) - hits])


def _above(ascending: Values, thresholds: Values) -> Counts:
    return ascending.size - np.searchsorted(ascending, thresholds, side="right").astype(np.int64)


def counted_on_device(probability: Tensor, labels: Tensor, thresholds: Tensor) -> Tensor:
    """`counted` of a batch (B, H, W) on any device: (B, 3 K) numbers, then how many pixels are valid."""
    import torch

    values, labels = probability.double().flatten(1), labels.flatten(1)
    truth, valid = labels > 0, labels >= 0

    # Pixels that are not chosen sort to the front, below every threshold.
    def above(chosen: Tensor) -> Tensor:
        ascending = values.where(chosen, -math.inf).sort(dim=1).values
        places = torch.searchsorted(ascending, thresholds.expand(len(values), -1).contiguous(), right=True)
        return values.shape[1] - places

    hits = above(truth)
    missed = truth.sum(dim=1, keepdim=True) - hits
    return torch.cat([hits, above(valid & ~truth), missed, valid.sum(dim=1, keepdim=True)], dim=1)


def ratios(counts: Counts) -> tuple[Values, Values, Values]:
    """Jaccard index, precision, recall (..., K) of counts (..., 3, K); the index of nothing at all is 1."""
    hit, false, missed = (counts[..., row, :].astype(np.float64) for row in range(3))
    union = hit + false + missed
    index = np.where(union > 0, hit / np.maximum(union, 1), 1.0)
    return index, hit / (hit + false + EPSILON), hit / (hit + missed + EPSILON)


def _means(values: Values) -> Values:
    """Mean over the images of (N, K), exact and so independent of their order."""
    return np.array([math.fsum(column) / len(column) for column in values.T])
