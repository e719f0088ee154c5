"""Depth in metres: L1 loss, absolute and relative error."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tabench.tasks.averaging import PixelAverage, Values, valid_pixels
from tabench.tasks.base import RGB, Evaluation, MetricInfo, Task
from tabench.tasks.colours import depth_colours


class Depth(Task):
    """Metric depth; target 0 marks invalid pixels.

    Attributes:
        shown: Depths (m) at the two ends of the colour map, the same in every picture.
    """

    name: ClassVar[str] = "depth"
    needs: ClassVar[str] = "depth"
    metrics: ClassVar[tuple[MetricInfo, ...]] = (
        MetricInfo("abs_err", "Abs err", "m", "lower", 4),
        MetricInfo("rel_err", "Rel err", "", "lower", 4),
    )
    shown: ClassVar[tuple[float, float]] = (0.0, 10.0)

    def activate(self, raw: Tensor) -> Tensor:
        """The raw channel (B, 1, H, W) as float32 metres."""
        return raw.float()

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Mean |prediction - target| over the batch's valid pixels, in metres, float32."""
        valid = target.sum(dim=1, keepdim=True) != 0
        error = torch.where(valid, (raw.float() - target.float()).abs(), 0.0)
        return error.sum() / valid.sum().clamp(min=1)

    def evaluation(self, protocol: str) -> Evaluation:
        """Mean of |p - d| (m) and |p - d| / d over valid pixels; see `PixelAverage`."""
        return PixelAverage(protocol, _errors, [metric.key for metric in self.metrics])

    def colour_prediction(self, prediction: npt.NDArray[np.float32]) -> RGB:
        """Viridis over the fixed range `shown`: dark is near."""
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
        depth = target[0].astype(np.float64)
        valid = valid_pixels(target)
        relative = np.abs(prediction[0] - depth) / np.where(valid, depth, 1)
        return np.where(valid, np.minimum(relative, 1), np.nan).astype(np.float32)


def _errors(prediction: Values, target: Values) -> dict[str, Values]:
    valid = valid_pixels(target)
    depth = target[0][valid]
    absolute = np.abs(prediction[0][valid] - depth)
    return {"abs_err": absolute, "rel_err": absolute / depth}
