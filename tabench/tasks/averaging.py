"""Averages of per-pixel values over an evaluation split, in every protocol.

"paper": each metric is computed on every image and averaged over the images that have a
valid pixel (the authors' code at batch size 1; its "median" is a mean of medians).
All others: each metric is computed once over all valid pixels of the split.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from tabench.tasks.accumulator import Accumulator, Measured, Row, sorted_by
from tabench.tasks.base import MetricInfo, Parts

if TYPE_CHECKING:
    from torch import Tensor

Values = npt.NDArray[np.float64]
Measure = Callable[[Values, Values], tuple[Values, ...]]
DeviceMeasure = Callable[["Tensor", "Tensor"], tuple[tuple["Tensor", ...], "Tensor"]]
KEPT_ON_DEVICE = 2**28  # bytes of values on a device after which they are fetched


def _itself(first: Any, *others: Any) -> Any:
    return first


@dataclass(frozen=True)
class PixelMetric(MetricInfo):
    """A metric that is an average of values of pixels.

    Attributes:
        of: Its value on each pixel, from the quantities that the task measures there (angles, errors).
            Written with operators alone, so that one line serves NumPy's arrays and a device's tensors.
        average: How the values of pixels become one: "median" takes the mean of the two middle ones where
            their number is even, "root" the root of the mean.
    """

    of: Callable[..., Any] = _itself
    average: Literal["mean", "median", "root"] = "mean"

    def mean(self, total: float, pixels: float) -> float:
        """The metric from a sum over pixels."""
        return math.sqrt(total / pixels) if self.average == "root" else total / pixels


@dataclass
class _Averaged(Measured):
    """What all protocols of a task read from: metric key to values and sums of images.

    `stored` has all pixels' values of each metric that is a median, if a protocol wants them (`storing`);
    `on_device` those that are still there, infinite where not valid.
    """

    per_image: dict[str, dict[str, float]] = field(default_factory=dict)
    sums: dict[str, list[float]] = field(default_factory=dict)
    # float32 halves the memory of an exact median over a whole split (6e-6 degrees of rounding)
    stored: dict[str, list[npt.NDArray[np.float32]]] = field(default_factory=dict)
    pixels: int = 0
    storing: bool = False
    on_device: dict[str, list[Tensor]] = field(default_factory=dict)


class PixelAverage(Accumulator[_Averaged]):
    """Accumulates per-pixel values in float64; sums are per image and added exactly (`math.fsum`).

    Args:
        protocol: One of `PROTOCOLS`; all but "paper" are alike.
        metrics: The task's metrics; those that the protocol does not have are measured and not shown.
        measure: Takes a prediction and a target, (C, H, W) float64 each, and returns the quantities that the
            metrics read, each on the valid pixels, 1-D (empty if there is none).
        on_device: The same for a batch on a CUDA device: takes (B, C, H, W) float64 each and returns the
            quantities (B, H, W), and the mask (B, H, W) of valid pixels. Sums may differ from those of
            `measure` by rounding. None measures on the CPU.
        remarks: Notes that every reader of these values needs.
    """

    def __init__(
        self,
        protocol: str,
        metrics: Sequence[PixelMetric],
        measure: Measure,
        on_device: DeviceMeasure | None = None,
        remarks: Sequence[str] = (),
    ) -> None:
        if odd := [metric.key for metric in metrics if not isinstance(metric, PixelMetric)]:
            raise TypeError(f"an average over pixels needs a PixelMetric, which {', '.join(odd)} is not")
        self._metrics = list(metrics)
        keys = [metric.key for metric in self._metrics]
        held = _Averaged(
            per_image={key: {} for key in keys},
            sums={key: [] for key in keys},
            stored={key: [] for key in keys},
            storing=protocol != "paper",
        )
        super().__init__(protocol, held)
        self._measure, self._on_device = measure, on_device
        self._shown = [metric for metric in self._metrics if metric.shown_in(protocol)]
        self._remarks = list(remarks)

    def _alike(self) -> object:
        return PixelAverage, self._measure, self._on_device, self._metrics

    def _join(self, held: _Averaged) -> None:
        held.storing |= self._held.storing
        super()._join(held)

    def _add(self, image_id: str, prediction: Tensor, target: Tensor) -> None:
        found = self._measure(as_float64(prediction), as_float64(target))
        pixels, held = found[0].size, self._held
        if not pixels:
            return
        held.pixels += pixels
        for metric in self._metrics:
            values = np.asarray(metric.of(*found), np.float64)
            if metric.average == "median":
                held.per_image[metric.key][image_id] = float(np.median(values))
                if held.storing:
                    held.stored[metric.key].append(values.astype(np.float32))
            else:
                # One sum an image: sums of images are then added exactly, in any order.
                total = float(values.sum())
                held.per_image[metric.key][image_id] = metric.mean(total, pixels)
                held.sums[metric.key].append(total)

    def _rows(self, prediction: Tensor, target: Tensor) -> Tensor | None:
        if self._on_device is None:
            return None
        import torch

        found, valid = self._on_device(prediction.double(), target.double())
        pixels = valid.flatten(1).sum(dim=1)
        columns = [pixels.double()]
        for metric in self._metrics:
            values = metric.of(*found).double()
            if metric.average == "median":
                # Infinite values sort behind all others, so that a row's first ones are the valid pixels.
                values = values.where(valid, math.inf).flatten(1)
                columns.append(medians(values, pixels))
                if self._held.storing:
                    self._store_on_device(metric.key, values.float())
            else:
                columns.append(values.where(valid, 0.0).flatten(1).sum(dim=1))
        return torch.stack(columns, dim=1)

    def _add_row(self, image_id: str, row: Row) -> None:
        pixels, *values = row.tolist()
        if not pixels:
            return
        self._held.pixels += int(pixels)
        for metric, value in zip(self._metrics, values, strict=True):
            median = metric.average == "median"
            self._held.per_image[metric.key][image_id] = value if median else metric.mean(value, pixels)
            if not median:
                self._held.sums[metric.key].append(value)

    def _store_on_device(self, key: str, values: Tensor) -> None:
        held = self._held.on_device.setdefault(key, [])
        held.append(values.flatten())
        # A median needs every value of the split, which a GPU may have no room for beside the model.
        if sum(part.nbytes for part in held) > KEPT_ON_DEVICE:
            self._fetch(key)

    def _fetch(self, key: str) -> None:
        import torch

        values = torch.cat(self._held.on_device.pop(key)).cpu().numpy()
        self._held.stored[key].append(values[np.isfinite(values)])

    def _settle(self) -> None:
        for key in list(self._held.on_device):
            self._fetch(key)
        super()._settle()

    def _measured(self) -> Mapping[str, object]:
        return next(iter(self._held.per_image.values()))

    def compute(self) -> dict[str, float]:
        """Metric key to value; NaN if no image had a valid pixel."""
        self._settle()
        return {m.key: self._value(m) if self._held.pixels else math.nan for m in self._shown}

    def _value(self, metric: PixelMetric) -> float:
        held = self._held
        if self.protocol == "paper":
            of_images = held.per_image[metric.key]
            return math.fsum(of_images.values()) / len(of_images)
        if metric.average == "median":
            # The concatenation is a copy that nobody else reads: sorting in place spares another one.
            return float(np.median(np.concatenate(held.stored[metric.key]), overwrite_input=True))
        return metric.mean(math.fsum(held.sums[metric.key]), held.pixels)

    def per_image(self) -> dict[str, dict[str, float]]:
        """Each metric on each image alone; images without a valid pixel are left out."""
        self._settle()
        return {metric.key: dict(self._held.per_image[metric.key]) for metric in self._shown}

    def notes(self) -> list[str]:
        """The remarks, and how many images had no valid pixel."""
        return [*self._remarks, *super().notes()]

    def _arrays(self) -> Parts:
        held = self._held
        found: Parts = {"pixels": np.array([held.pixels], np.int64)}
        for key, of_image in held.per_image.items():
            found[f"values.{key}"] = np.array(list(of_image.values()), np.float64)
            found[f"sums.{key}"] = np.array(held.sums[key], np.float64)
            found[f"stored.{key}"] = np.concatenate([*held.stored[key], np.zeros(0, np.float32)])
        return found

    def _absorb(self, images: list[str], parts: Parts, order: Sequence[str]) -> None:
        held = self._held
        held.pixels += int(parts["pixels"][0])
        for key, of_image in held.per_image.items():
            of_image |= dict(zip(images, parts[f"values.{key}"].tolist(), strict=True))
            held.per_image[key] = sorted_by(order, of_image)
            held.sums[key] += parts[f"sums.{key}"].tolist()
            held.stored[key].append(parts[f"stored.{key}"])


def medians(values: Tensor, counts: Tensor) -> Tensor:
    """Median (B,) of each row's finite values; values (B, N) are infinite but for counts (B,) of them."""
    import torch

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
