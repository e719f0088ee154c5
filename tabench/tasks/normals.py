"""Surface normals: cosine loss, angles between predicted and true normals."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from tabench.tasks.averaging import PixelAverage, PixelMetric, Values, valid_on_device, valid_pixels
from tabench.tasks.base import RGB, Evaluation, Task, in_single
from tabench.tasks.colours import normal_colours

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

EPSILON = 1e-6  # length of a raw vector below which its gradient grows no further
CALLED_RMSE = (
    "MTLoRA, and papers that compare with it, print the mean angle under the name “rmse”; the root of the "
    "mean square, in Vandenhende's code, is another number (protocol “pascal-rms”)"
)


def _within(limit: float) -> Callable[..., Values]:
    """Share (%) of angles strictly below a limit in degrees."""
    return lambda angle: 100 * (angle < limit)


class Normals(Task):
    """Unit normals (x right, y down, z forward); target (0, 0, 0) marks invalid pixels."""

    name: ClassVar[str] = "normals"
    needs: ClassVar[str] = "normal"
    supported: ClassVar[tuple[str, ...]] = ("paper", "pixel", "pascal", "libmtl", "pascal-rms")
    metrics: ClassVar[tuple[PixelMetric, ...]] = (
        PixelMetric("mean", "Mean angle", "deg", "lower"),
        PixelMetric("median", "Median angle", "deg", "lower", average="median"),
        PixelMetric("within_11", "Within 11.25°", "%", "higher", of=_within(11.25)),
        PixelMetric("within_22", "Within 22.5°", "%", "higher", of=_within(22.5)),
        PixelMetric("within_30", "Within 30°", "%", "higher", of=_within(30.0)),
        PixelMetric(
            "rms",
            "RMS angle",
            "deg",
            "lower",
            protocols=("pascal-rms",),
            of=lambda angle: angle * angle,
            average="root",
        ),
    )

    def activate(self, raw: Tensor) -> Tensor:
        """Raw channels (B, 3, H, W) scaled to unit length; see `unit`."""
        return unit(in_single(raw))

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """1 - mean dot product over the batch's valid pixels, in 0..2.

        Targets are taken as they are, as in the authors' code: one that is shorter than 1 weighs less.
        """
        valid = target.sum(dim=1) != 0
        prediction = self.activate(raw)
        dot = (prediction * target.to(prediction.dtype)).sum(dim=1)
        return (1 - dot).where(valid, 0.0).sum() / valid.sum().clamp(min=1)

    def evaluation(self, protocol: str) -> Evaluation:
        """Averages of the angle (degrees) between prediction and target over valid pixels."""
        remarks = [CALLED_RMSE] if protocol.startswith("pascal") else []
        return PixelAverage(protocol, self.metrics, _angles, _angles_on_device, remarks)

    def colour_prediction(self, prediction: npt.NDArray[np.float32]) -> RGB:
        """(n + 1) / 2 as red, green, blue."""
        return normal_colours(prediction)

    def colour_target(self, target: npt.NDArray[np.generic]) -> RGB:
        """As a prediction; invalid pixels are black."""
        picture = normal_colours(target.astype(np.float32))
        picture[~valid_pixels(target)] = 0
        return picture

    def error_map(
        self, prediction: npt.NDArray[np.float32], target: npt.NDArray[np.generic]
    ) -> npt.NDArray[np.float32]:
        """Angle / 90 degrees, at most 1; NaN where invalid."""
        angle = angles(prediction.astype(np.float64), target.astype(np.float64))
        error = np.minimum(angle / 90, 1)
        return np.where(valid_pixels(target), error, np.nan).astype(np.float32)


def unit(raw: Tensor) -> Tensor:
    """Vectors (B, 3, H, W) scaled to length 1, with gradients at right angles to them however short they are.

    The derivative is that of raw / |raw| where |raw| is above `EPSILON`; up to there its length is what it
    would be at that length, so that it stays bounded, and its direction is right. A vector of 0 stays 0; it
    has no direction, and the gradient that reaches it points where it is to go.
    """
    from torch.nn import functional as F

    fixed = raw.detach()
    length = _length(fixed)
    short = length <= EPSILON
    # The derivative of the length, which the sum of zeros carries into the graph.
    outward = (fixed / length).masked_fill(length == 0, 0.0)
    length = length + ((raw - fixed) * outward).sum(dim=1, keepdim=True)
    usual = raw / length.clamp_min(EPSILON)
    if raw.is_cpu and not short.any():
        return usual
    # On other devices both ways are computed for all pixels, since a branch would have to wait for them.
    largest = fixed.abs().amax(dim=1, keepdim=True)
    short = short & (largest > 0)
    # the squares of very short vectors are 0 in float32: they are scaled up before they are measured
    direction = F.normalize(fixed / largest.where(short, 1.0), dim=1)
    return F.normalize(direction + (raw - fixed) / EPSILON, dim=1).where(short, usual)


def _length(vectors: Tensor) -> Tensor:
    """Lengths (B, 1, H, W) of vectors (B, C, H, W), to the bit those of `torch.linalg.vector_norm`."""
    import torch

    if not vectors.is_cpu or vectors.dtype != torch.float32:
        return torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    # On the CPU that takes 50 times as long, pixel by pixel. The root is taken in float64, since torch's of
    # float32 is not always the nearest number, as that function's is; that of float64, rounded, always is.
    squares = vectors.square().split(1, dim=1)
    return sum(squares[1:], squares[0]).double().sqrt().float()


def angles(prediction: Values, target: Values) -> Values:
    """Angle in degrees: acos of the clamped dot product over axis 0.

    The target is taken as stored and not scaled to unit length, as in the authors' code.
    """
    dot = (prediction * target).sum(axis=0)
    # Rounding takes a dot product of unit vectors past 1, where acos is NaN.
    result: Values = np.degrees(np.arccos(np.clip(dot, -1, 1)))
    return result


def _angles(prediction: Values, target: Values) -> tuple[Values]:
    return (angles(prediction, target)[valid_pixels(target)],)


def _angles_on_device(prediction: Tensor, target: Tensor) -> tuple[tuple[Tensor], Tensor]:
    """`_angles` of a batch on its device."""
    return ((prediction * target).sum(dim=1).clamp(-1, 1).arccos().rad2deg(),), valid_on_device(target)
