"""Depth and disparity: one number above 0 a pixel, L1 loss, absolute and relative error."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from tabench.tasks.averaging import PixelAverage, PixelMetric, Values, valid_on_device, valid_pixels
from tabench.tasks.base import RGB, Evaluation, Task, in_single
from tabench.tasks.colours import depth_colours

if TYPE_CHECKING:
    from torch import Tensor


class Distance(Task):
    """A map of one channel; target 0 marks invalid pixels. Metrics read the absolute error and the target.

    Attributes:
        shown: Values at the two ends of the colour map, the same in every picture.
        remarks: Notes that go with every evaluation.
    """

    supported: ClassVar[tuple[str, ...]] = ("paper", "pixel", "libmtl")
    metrics: ClassVar[tuple[PixelMetric, ...]]
    shown: ClassVar[tuple[float, float]]
    remarks: ClassVar[tuple[str, ...]] = ()

    def activate(self, raw: Tensor) -> Tensor:
        """The raw channel (B, 1, H, W), in the target's unit."""
        return in_single(raw)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Mean |prediction - target| over the batch's valid pixels, in the target's unit."""
        valid = target.sum(dim=1, keepdim=True) != 0
        raw = in_single(raw)
        # `where` and not a product: an invalid pixel may hold NaN, which times 0 is NaN.
        error = (raw - target.to(raw.dtype)).abs().where(valid, 0.0)
        return error.sum() / valid.sum().clamp(min=1)

    def evaluation(self, protocol: str) -> Evaluation:
        """Averages over valid pixels; see `PixelAverage`."""
        return PixelAverage(protocol, self.metrics, _errors, _errors_on_device, self.remarks)

    def colour_prediction(self, prediction: npt.NDArray[np.float32]) -> RGB:
        """Viridis over the fixed range `shown`: dark is low."""
        return depth_colours(prediction[0], self.shown)

    def colour_target(self, target: npt.NDArray[np.generic]) -> RGB:
        """As a prediction; invalid pixels are black."""
        picture = depth_colours(target.astype(np.float32)[0], self.shown)
        picture[~valid_pixels(target)] = 0
        return picture

    def error_map(
        self, prediction: npt.NDArray[np.float32], target: npt.NDArray[np.generic]
    ) -> npt.NDArray[np.float32]:
        """min(|p - d| / d, 1) per pixel; NaN where invalid."""
        truth = target[0].astype(np.float64)
        valid = valid_pixels(target)
        # Divided by 1 where invalid: there the target is 0, and the value is masked below.
        relative = np.abs(prediction[0] - truth) / np.where(valid, truth, 1)
        return np.where(valid, np.minimum(relative, 1), np.nan).astype(np.float32)


class Depth(Distance):
    """Metric depth; target 0 marks invalid pixels.

    Attributes:
        shown: Depths (m) at the two ends of the colour map, the same in every picture: dark is near.
    """

    name: ClassVar[str] = "depth"
    needs: ClassVar[str] = "depth"
    metrics: ClassVar[tuple[PixelMetric, ...]] = (
        PixelMetric("abs_err", "Abs err", "m", "lower", 4),
        PixelMetric("rel_err", "Rel err", "", "lower", 4, of=lambda error, truth: error / truth),
    )
    shown: ClassVar[tuple[float, float]] = (0.0, 10.0)


class Disparity(Distance):
    """Rescaled disparity, 0..0.4922 without a unit; target 0 marks invalid pixels.

    The papers call it "depth". It is not: it is inversely proportional to depth. Far pixels have
    disparities near 0, and the relative error divides by them, so its mean is a ratio that can
    exceed 1 many times (papers print values near 27, without a percent sign).

    Attributes:
        shown: Disparities at the two ends of the colour map, the same in every picture: dark is far. Few
            pixels lie above the upper end.
    """

    name: ClassVar[str] = "disparity"
    needs: ClassVar[str] = "disparity"
    metrics: ClassVar[tuple[PixelMetric, ...]] = (
        PixelMetric("abs_err", "Abs err", "", "lower", 4),
        PixelMetric("rel_err", "Rel err (ratio)", "", "lower", of=lambda error, truth: error / truth),
    )
    shown: ClassVar[tuple[float, float]] = (0.0, 0.3)
    remarks: ClassVar[tuple[str, ...]] = (
        "the values are rescaled and have no unit, and the relative error is the raw ratio |p - d| / d, "
        "which far pixels (d near 0) dominate: not comparable with the relative error of depth on NYUv2",
    )


def _errors(prediction: Values, target: Values) -> tuple[Values, Values]:
    valid = valid_pixels(target)
    truth = target[0][valid]
    return np.abs(prediction[0][valid] - truth), truth


def _errors_on_device(prediction: Tensor, target: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """`_errors` of a batch on its device."""
    truth = target[:, 0]
    return ((prediction[:, 0] - truth).abs(), truth), valid_on_device(target)
