"""Averages of per-pixel values over an evaluation split, in every protocol.

"paper": each metric is computed on every image and averaged over the images that have a
valid pixel (the authors' code at batch size 1; its "median" is a mean of medians).
"pixel", and "pascal" likewise: each metric is computed once over all valid pixels of the split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np
import numpy.typing as npt
from torch import Tensor

from tabench.tasks.accumulation import check_finite, check_protocol, claim_id, skipped_note
from tabench.tasks.base import Evaluation

Values = npt.NDArray[np.float64]
Measure = Callable[[Values, Values], dict[str, Values]]


class PixelAverage(Evaluation):
    """Accumulates per-pixel values in float64, one image at a time.

    Results depend neither on the batch size nor on the order of the images: sums are
    per image and added exactly (`math.fsum`).

    Args:
        protocol: "paper", "pixel" or "pascal".
        measure: Takes a prediction and a target, (C, H, W) float64 each, and returns for
            each metric its values on the valid pixels, 1-D (empty if there is none).
        keys: The metrics' keys, in order.
        medians: Metrics that are the median of their values (mean of the two middle ones if
            their number is even); the others are the mean.
        remarks: Notes that every reader of these values needs.
    """

    def __init__(
        self,
        protocol: str,
        measure: Measure,
        keys: Sequence[str],
        medians: Collection[str] = (),
        remarks: Sequence[str] = (),
    ) -> None:
        check_protocol(protocol)
        self.protocol = protocol
        self._measure = measure
        self._medians = frozenset(medians)
        self._remarks = list(remarks)
        self._seen: set[str] = set()
        self._per_image: dict[str, dict[str, float]] = {key: {} for key in keys}
        self._sums: dict[str, list[float]] = {key: [] for key in keys}
        self._pixels = 0
        # float32 halves the memory of an exact median over a whole split (6e-6 degrees of rounding)
        self._stored: dict[str, list[npt.NDArray[np.float32]]] = {key: [] for key in keys}

    def update(self, prediction: Tensor, target: Tensor, ids: Sequence[str]) -> None:
        """Add a batch: prediction and target (B, C, H, W), on any device.

        Raises:
            DivergedError: A prediction is not finite.
            ValueError: An image id comes twice.
        """
        check_finite(prediction, ids)
        for image_id, p, t in zip(ids, prediction.detach(), target, strict=True):
            claim_id(self._seen, image_id)
            measured = self._measure(as_float64(p), as_float64(t))
            pixels = next(iter(measured.values())).size
            if not pixels:
                continue
            self._pixels += pixels
            for key, values in measured.items():
                self._add(key, image_id, values)

    def _add(self, key: str, image_id: str, values: Values) -> None:
        of_image = self._per_image[key]
        if key in self._medians:
            of_image[image_id] = float(np.median(values))
            if self.protocol != "paper":
                self._stored[key].append(values.astype(np.float32))
        else:
            total = float(values.sum())
            of_image[image_id] = total / values.size
            self._sums[key].append(total)

    def compute(self) -> dict[str, float]:
        """Metric key to value; NaN if no image had a valid pixel."""
        return {key: self._value(key) if self._pixels else math.nan for key in self._per_image}

    def _value(self, key: str) -> float:
        if self.protocol == "paper":
            held = self._per_image[key]
            return math.fsum(held.values()) / len(held)
        if key in self._medians:
            return float(np.median(np.concatenate(self._stored[key]), overwrite_input=True))
        return math.fsum(self._sums[key]) / self._pixels

    def per_image(self) -> dict[str, dict[str, float]]:
        """Each metric on each image alone; images without a valid pixel are left out."""
        return {key: dict(held) for key, held in self._per_image.items()}

    def notes(self) -> list[str]:
        """The remarks, and how many images had no valid pixel."""
        measured = next(iter(self._per_image.values()))
        return [*self._remarks, *skipped_note(len(self._seen) - len(measured))]


def as_float64(tensor: Tensor) -> Values:
    """NumPy copy; moved to the CPU first, as not every device has float64."""
    array: Values = tensor.cpu().double().numpy()
    return array


def valid_pixels(target: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """(H, W) mask of a (C, H, W) depth, disparity or normal target: its channels do not sum to 0.

    The rule of the authors' code; it also drops the rare normal whose three components
    cancel out exactly (``tabench data verify`` counts them).
    """
    mask: npt.NDArray[np.bool_] = target.astype(np.float32).sum(axis=0) != 0
    return mask
