"""Overlap of thresholded probabilities with a mask: Jaccard index and F at the best threshold of a split."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from tabench.tasks.accumulation import check_finite, claim_id, skipped_note
from tabench.tasks.base import Evaluation

EPSILON = 1e-12  # of the field's code: keeps 0 / 0 at 0

Values = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]


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

    def __init__(self, thresholds: Sequence[float], *, pooled: bool, keys: Sequence[str]) -> None:
        self.thresholds = np.asarray(thresholds, np.float64)
        self.pooled = pooled
        self.keys = tuple(keys)
        self._seen: set[str] = set()
        self._counts: dict[str, Counts] = {}

    def update(self, prediction: Tensor, target: Tensor, ids: Sequence[str]) -> None:
        """Add a batch: probabilities (B, 1, H, W), labels (B, H, W) of 1, 0 and -1 = ignore, on any device.

        Raises:
            DivergedError: A prediction is not finite.
            ValueError: An image id comes twice.
        """
        check_finite(prediction, ids)
        for image_id, p, t in zip(ids, prediction.detach()[:, 0], target, strict=True):
            claim_id(self._seen, image_id)
            labels = t.cpu().numpy()
            valid = labels >= 0
            if valid.any():
                probability = p.cpu().double().numpy()[valid]
                self._counts[image_id] = counted(probability, labels[valid] > 0, self.thresholds)

    def compute(self) -> dict[str, float]:
        """Metric key to percent; NaN if no image had a valid pixel."""
        if not self._counts:
            return dict.fromkeys(self.keys, math.nan)
        per_image = np.stack(list(self._counts.values()))
        if self.pooled:
            index, precision, recall = ratios(per_image.sum(axis=0))
        else:
            index, precision, recall = (_means(row) for row in ratios(per_image))
        return self._best(index, precision, recall)

    def per_image(self) -> dict[str, dict[str, float]]:
        """Each metric on each image alone, at that image's own best threshold."""
        alone = {image_id: self._best(*ratios(counts)) for image_id, counts in self._counts.items()}
        return {key: {image_id: values[key] for image_id, values in alone.items()} for key in self.keys}

    def notes(self) -> list[str]:
        """How many images had no valid pixel."""
        return skipped_note(len(self._seen) - len(self._counts))

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


def ratios(counts: Counts) -> tuple[Values, Values, Values]:
    """Jaccard index, precision, recall (..., K) of counts (..., 3, K); the index of nothing at all is 1."""
    hit, false, missed = (counts[..., row, :].astype(np.float64) for row in range(3))
    union = hit + false + missed
    index = np.where(union > 0, hit / np.maximum(union, 1), 1.0)
    return index, hit / (hit + false + EPSILON), hit / (hit + missed + EPSILON)


def _means(values: Values) -> Values:
    """Mean over the images of (N, K), exact and so independent of their order."""
    return np.array([math.fsum(column) / len(column) for column in values.T])
