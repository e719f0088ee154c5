"""What depth and disparity share: one number above 0 a pixel, L1 loss, absolute and relative error."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tabench.tasks.averaging import PixelAverage, Values, valid_on_device, valid_pixels
from tabench.tasks.base import RGB, Evaluation, Task, in_single
from tabench.tasks.colours import depth_colours


class Distance(Task):
    """A map of one channel; target 0 marks invalid pixels. Its metrics are "abs_err" and "rel_err".

    Attributes:
        shown: Values at the two ends of the colour map, the same in every picture.
        remarks: Notes that go with every evaluation.
    """

    supported: ClassVar[tuple[str, ...]] = ("paper", "pixel", "libmtl")
    shown: ClassVar[tuple[float, float]]
    remarks: ClassVar[tuple[str, ...]] = ()

    def activate(self, raw: Tensor) -> Tensor:
        """The raw channel (B, 1, H, W), in the target's unit."""
        return in_single(raw)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Mean |prediction - target| over the batch's valid pixels, in the target's unit."""
        valid = target.sum(dim=1, keepdim=True) != 0
        raw = in_single(raw)
        error = torch.where(valid, (raw - target.to(raw.dtype)).abs(), 0.0)
        return error.sum() / valid.sum().clamp(min=1)

    def evaluation(self, protocol: str) -> Evaluation:
        """Mean of |p - d| and |p - d| / d over valid pixels; see `PixelAverage`."""
        keys = [metric.key for metric in self.metrics]
        return PixelAverage(protocol, _errors, keys, remarks=self.remarks, on_device=_errors_on_device)

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
        relative = np.abs(prediction[0] - truth) / np.where(valid, truth, 1)
        return np.where(valid, np.minimum(relative, 1), np.nan).astype(np.float32)


def _errors(prediction: Values, target: Values) -> dict[str, Values]:
    valid = valid_pixels(target)
    truth = target[0][valid]
    absolute = np.abs(prediction[0][valid] - truth)
    return {"abs_err": absolute, "rel_err": absolute / truth}


def _errors_on_device(prediction: Tensor, target: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """`_errors` of a batch on its device."""
    truth = target[:, 0]
    absolute = (prediction[:, 0] - truth).abs()
    return {"abs_err": absolute, "rel_err": absolute / truth}, valid_on_device(target)
