"""Overlap of thresholded probabilities with a mask: Jaccard index and F at the best threshold of a split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tabench.tasks.accumulation import check_finite, claim_id, skipped_note
from tabench.tasks.base import Evaluation, Parts
from tabench.tasks.parts import named, names, sorted_by
from tabench.tasks.pending import Pending, measured_on_device

EPSILON = 1e-12  # of the field's code: keeps 0 / 0 at 0

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


@dataclass
class _Measured:
    """What all protocols read their values from.

    Attributes:
        counts: Image id to (3, K) hits, false alarms and misses; only images with a valid pixel.
        seen: Ids of all images.
        pending: Counts still on a device.
    """

    counts: dict[str, Counts] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    pending: Pending = field(default_factory=Pending)


class OverlapEvaluation(Evaluation):
    """Counts hits, false alarms and misses of each image at every threshold.

    "max_iou" is the largest, over the thresholds, of the split's Jaccard index, "max_f" that of
    2 P R / (P + R); one threshold serves the whole split. Not pooled, the index, P and R are means over the
    images (an image without a positive pixel and without a prediction has the index 1); pooled, they come
    from the counts of all images together.

    Args:
        thresholds: Probabilities; a pixel is predicted where it is strictly above.
        pooled: Take the ratios once over all pixels, not once an image.
        keys: Which of the two metrics are given.
    """

    mergeable: ClassVar[bool] = True

    def __init__(self, thresholds: Sequence[float], *, pooled: bool, keys: Sequence[str]) -> None:
        self.thresholds = np.asarray(thresholds, np.float64)
        self.pooled = pooled
        self.keys = tuple(keys)
        self._held = _Measured()
        self._on_device: Tensor | None = None

    def follow(self, other: Evaluation) -> bool:
        """Read the other's counts, where both have the same thresholds; see `Evaluation.follow`."""
        if not isinstance(other, OverlapEvaluation) or other._held.seen:
            return False
        if not np.array_equal(self.thresholds, other.thresholds):
            return False
        self._held = other._held
        return True

    def update(self, prediction: Tensor, target: Tensor, ids: Sequence[str]) -> None:
        """Add a batch: probabilities (B, 1, H, W), labels (B, H, W) of 1, 0 and -1 = ignore, on any device.

        Raises:
            DivergedError: A prediction is not finite (on a CUDA device: raised with the results).
            ValueError: An image id comes twice.
        """
        if measured_on_device(prediction):
            for image_id in ids:
                claim_id(self._held.seen, image_id)
            counts = counted_on_device(prediction.detach()[:, 0], target, self._sent(prediction.device))
            self._held.pending.add(ids, prediction, counts)
            return
        check_finite(prediction, ids)
        for image_id, p, t in zip(ids, prediction.detach()[:, 0], target, strict=True):
            claim_id(self._held.seen, image_id)
            labels = t.cpu().numpy()
            valid = labels >= 0
            if valid.any():
                probability = p.cpu().double().numpy()[valid]
                self._held.counts[image_id] = counted(probability, labels[valid] > 0, self.thresholds)

    def _sent(self, device: torch.device) -> Tensor:
        """The thresholds on a device; a copy that is waited for, once an evaluation."""
        if self._on_device is None:
            self._on_device = torch.from_numpy(self.thresholds).to(device)
        return self._on_device

    def _settle(self) -> None:
        """Fetch what is still on a device; the last number of a row counts the valid pixels."""
        for image_id, row in self._held.pending.take():
            if row[-1]:
                self._held.counts[image_id] = row[:-1].astype(np.int64).reshape(3, -1)

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
        """How many images had no valid pixel, and whether none had a positive one."""
        self._settle()
        found = skipped_note(len(self._held.seen) - len(self._held.counts))
        counts = self._held.counts.values()
        if counts and not any(count[0].any() or count[2].any() for count in counts):
            found.append("no image has a positive pixel: predicting nothing scores 100 in the Jaccard index")
        return found

    def parts(self) -> Parts:
        """Each image's counts; see `Evaluation.parts`."""
        self._settle()
        held = self._held
        counts = list(held.counts.values())
        rows = np.stack(counts) if counts else np.zeros((0, 3, self.thresholds.size), np.int64)
        return {"seen": named(held.seen), "images": named(held.counts), "counts": rows}

    def absorb(self, parts: Parts, order: Sequence[str]) -> None:
        """Add another's counts; see `Evaluation.absorb`."""
        self._settle()
        held = self._held
        for image_id in names(parts["seen"]):
            claim_id(held.seen, image_id)
        held.counts |= dict(zip(names(parts["images"]), parts["counts"], strict=True))
        held.counts = sorted_by(order, held.counts)

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
    values, labels = probability.double().flatten(1), labels.flatten(1)
    truth, valid = labels > 0, labels >= 0

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
