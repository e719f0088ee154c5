"""Averages of per-pixel values over an evaluation split, in every protocol.

"paper": each metric is computed on every image and averaged over the images that have a
valid pixel (the authors' code at batch size 1; its "median" is a mean of medians).
All others: each metric is computed once over all valid pixels of the split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tabench.tasks.accumulation import check_finite, check_protocol, claim_id, skipped_note
from tabench.tasks.base import Evaluation, Parts
from tabench.tasks.parts import named, names, sorted_by
from tabench.tasks.pending import Pending, measured_on_device

Values = npt.NDArray[np.float64]
Measure = Callable[[Values, Values], dict[str, Values]]
DeviceMeasure = Callable[[Tensor, Tensor], tuple[dict[str, Tensor], Tensor]]
KEPT_THERE = 2**28  # bytes of values on a device after which they are fetched


@dataclass
class _Measured:
    """What all protocols read their values from.

    Attributes:
        per_image: Metric key to {image id: value}.
        sums: Of each metric that is a mean, each image's sum.
        stored: Of each metric that is a median, the images' values, if a protocol wants them.
        seen: Ids of all images.
        pixels: Valid pixels of all images.
        storing: Whether a protocol wants the values of medians.
        pending: Numbers still on a device.
        on_device: Values of medians still on a device, infinite where not valid.
    """

    per_image: dict[str, dict[str, float]]
    sums: dict[str, list[float]]
    # float32 halves the memory of an exact median over a whole split (6e-6 degrees of rounding)
    stored: dict[str, list[npt.NDArray[np.float32]]]
    seen: set[str] = field(default_factory=set)
    pixels: int = 0
    storing: bool = False
    pending: Pending = field(default_factory=Pending)
    on_device: dict[str, list[Tensor]] = field(default_factory=dict)


class PixelAverage(Evaluation):
    """Accumulates per-pixel values in float64, one image at a time.

    Results depend neither on the batch size nor on the order of the images: sums are
    per image and added exactly (`math.fsum`).

    Args:
        protocol: One of `PROTOCOLS`; all but "paper" are alike.
        measure: Takes a prediction and a target, (C, H, W) float64 each, and returns for
            each metric its values on the valid pixels, 1-D (empty if there is none).
        keys: The metrics' keys, in order.
        shown: Those of them that this protocol gives; by default all.
        medians: Metrics that are the median of their values (mean of the two middle ones if
            their number is even); the others are the mean.
        roots: Metrics that are the root of their values' mean.
        remarks: Notes that every reader of these values needs.
        on_device: The same measure for a batch on a CUDA device: takes (B, C, H, W) float64 each and returns
            for each metric its values (B, H, W), and the mask (B, H, W) of valid pixels. Sums may differ from
            those of `measure` by rounding. None measures on the CPU.
    """

    mergeable: ClassVar[bool] = True

    def __init__(
        self,
        protocol: str,
        measure: Measure,
        keys: Sequence[str],
        medians: Collection[str] = (),
        roots: Collection[str] = (),
        shown: Collection[str] | None = None,
        remarks: Sequence[str] = (),
        on_device: DeviceMeasure | None = None,
    ) -> None:
        check_protocol(protocol)
        self.protocol = protocol
        self._measure = measure
        self._on_device = on_device
        self._medians = frozenset(medians)
        self._roots = frozenset(roots)
        self._shown = [key for key in keys if shown is None or key in shown]
        self._remarks = list(remarks)
        self._held = _Measured({k: {} for k in keys}, {k: [] for k in keys}, {k: [] for k in keys})
        self._held.storing = protocol != "paper"

    def follow(self, other: Evaluation) -> bool:
        """Read the other's values, where both measure alike; see `Evaluation.follow`."""
        if not isinstance(other, PixelAverage) or other._held.seen:
            return False
        mine, theirs = (
            (e._measure, e._on_device, e._medians, e._roots, list(e._held.per_image)) for e in (self, other)
        )
        if mine != theirs:
            return False
        other._held.storing |= self._held.storing
        self._held = other._held
        return True

    def update(self, prediction: Tensor, target: Tensor, ids: Sequence[str]) -> None:
        """Add a batch: prediction and target (B, C, H, W), on any device.

        Raises:
            DivergedError: A prediction is not finite (on a CUDA device: raised with the results).
            ValueError: An image id comes twice.
        """
        if self._on_device is not None and measured_on_device(prediction):
            self._update_on_device(self._on_device, prediction.detach(), target, ids)
            return
        check_finite(prediction, ids)
        for image_id, p, t in zip(ids, prediction.detach(), target, strict=True):
            claim_id(self._held.seen, image_id)
            measured = self._measure(as_float64(p), as_float64(t))
            pixels = next(iter(measured.values())).size
            if not pixels:
                continue
            self._held.pixels += pixels
            for key in self._held.per_image:
                self._add(key, image_id, measured[key])

    def _add(self, key: str, image_id: str, values: Values) -> None:
        of_image = self._held.per_image[key]
        if key in self._medians:
            of_image[image_id] = float(np.median(values))
            if self._held.storing:
                self._held.stored[key].append(values.astype(np.float32))
        else:
            total = float(values.sum())
            of_image[image_id] = self._mean(key, total, values.size)
            self._held.sums[key].append(total)

    def _mean(self, key: str, total: float, pixels: float) -> float:
        mean = total / pixels
        return math.sqrt(mean) if key in self._roots else mean

    def _update_on_device(
        self, measure: DeviceMeasure, prediction: Tensor, target: Tensor, ids: Sequence[str]
    ) -> None:
        for image_id in ids:
            claim_id(self._held.seen, image_id)
        found, valid = measure(prediction.double(), target.double())
        pixels = valid.flatten(1).sum(dim=1)
        columns = [pixels.double()]
        for key in self._held.per_image:
            if key in self._medians:
                values = found[key].where(valid, math.inf).flatten(1)
                columns.append(medians(values, pixels))
                if self._held.storing:
                    self._store_on_device(key, values.float())
            else:
                columns.append(found[key].where(valid, 0.0).flatten(1).sum(dim=1))
        self._held.pending.add(ids, prediction, torch.stack(columns, dim=1))

    def _store_on_device(self, key: str, values: Tensor) -> None:
        held = self._held.on_device.setdefault(key, [])
        held.append(values.flatten())
        if sum(part.nbytes for part in held) > KEPT_THERE:
            self._fetch(key)

    def _fetch(self, key: str) -> None:
        held = self._held.on_device.pop(key)
        values = torch.cat(held).cpu().numpy()
        self._held.stored[key].append(values[np.isfinite(values)])

    def _settle(self) -> None:
        """Fetch what is still on a device."""
        held = self._held
        for key in list(held.on_device):
            self._fetch(key)
        for image_id, (pixels, *row) in held.pending.take():
            if not pixels:
                continue
            held.pixels += int(pixels)
            for key, value in zip(held.per_image, row, strict=True):
                if key in self._medians:
                    held.per_image[key][image_id] = float(value)
                else:
                    held.per_image[key][image_id] = self._mean(key, float(value), float(pixels))
                    held.sums[key].append(float(value))

    def compute(self) -> dict[str, float]:
        """Metric key to value; NaN if no image had a valid pixel."""
        self._settle()
        return {key: self._value(key) if self._held.pixels else math.nan for key in self._shown}

    def _value(self, key: str) -> float:
        if self.protocol == "paper":
            held = self._held.per_image[key]
            return math.fsum(held.values()) / len(held)
        if key in self._medians:
            return float(np.median(np.concatenate(self._held.stored[key]), overwrite_input=True))
        return self._mean(key, math.fsum(self._held.sums[key]), self._held.pixels)

    def per_image(self) -> dict[str, dict[str, float]]:
        """Each metric on each image alone; images without a valid pixel are left out."""
        self._settle()
        return {key: dict(self._held.per_image[key]) for key in self._shown}

    def notes(self) -> list[str]:
        """The remarks, and how many images had no valid pixel."""
        self._settle()
        measured = next(iter(self._held.per_image.values()))
        return [*self._remarks, *skipped_note(len(self._held.seen) - len(measured))]

    def parts(self) -> Parts:
        """Each image's values and sums, and the values of medians where they are stored."""
        self._settle()
        held = self._held
        images = list(next(iter(held.per_image.values())))
        found: Parts = {
            "seen": named(held.seen),
            "images": named(images),
            "pixels": np.array([held.pixels], np.int64),
        }
        for key, of_image in held.per_image.items():
            found[f"values.{key}"] = np.array([of_image[image_id] for image_id in images], np.float64)
            found[f"sums.{key}"] = np.array(held.sums[key], np.float64)
            found[f"stored.{key}"] = np.concatenate([*held.stored[key], np.zeros(0, np.float32)])
        return found

    def absorb(self, parts: Parts, order: Sequence[str]) -> None:
        """Add another's images; sums are exact and medians sort, so their order changes no number."""
        self._settle()
        held = self._held
        for image_id in names(parts["seen"]):
            claim_id(held.seen, image_id)
        images = names(parts["images"])
        held.pixels += int(parts["pixels"][0])
        for key, of_image in held.per_image.items():
            of_image |= dict(zip(images, parts[f"values.{key}"].tolist(), strict=True))
            held.per_image[key] = sorted_by(order, of_image)
            held.sums[key] += parts[f"sums.{key}"].tolist()
            held.stored[key].append(parts[f"stored.{key}"])


def medians(values: Tensor, counts: Tensor) -> Tensor:
    """Median (B,) of each row's finite values; values (B, N) are infinite but for counts (B,) of them."""
    ascending = values.sort(dim=1).values
    middle = torch.stack([(counts - 1) // 2, counts // 2], dim=1).clamp(0, values.shape[1] - 1)
    return ascending.gather(1, middle).mean(dim=1)


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


def valid_on_device(target: Tensor) -> Tensor:
    """`valid_pixels` of a batch (B, C, H, W) on any device, (B, H, W)."""
    first, *others = target.float().unbind(1)
    for channel in others:  # in NumPy's order: a sum that cancels out does so on every device
        first = first + channel
    return first != 0
