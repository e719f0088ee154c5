"""What tasks with one yes-or-no channel share: sigmoid, balanced cross-entropy, two colours."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from torch import Tensor
from torch.nn import functional as F

from tabench.tasks.base import RGB, Task, in_single
from tabench.tasks.colours import IGNORE, class_colours


class BinaryTask(Task):
    """A probability a pixel; target (H, W) is 1, 0 or -1 = ignore.

    Attributes:
        positive_weight: Weight w of positive pixels in the loss, 1 - w of negative ones; None takes the
            share of negative pixels in the batch.
        colours: Of the two classes, 0 first.
    """

    supported: ClassVar[tuple[str, ...]] = ("paper", "pixel", "pascal", "pascal-rms")
    positive_weight: ClassVar[float | None] = None
    colours: ClassVar[tuple[tuple[int, int, int], tuple[int, int, int]]] = ((40, 60, 90), (255, 215, 80))

    def activate(self, raw: Tensor) -> Tensor:
        """Sigmoid of the channel (B, 1, H, W)."""
        return in_single(raw).sigmoid()

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Balanced cross-entropy (Xie and Tu, HED), a mean over the batch's valid pixels.

        With the share of negatives as weight, a batch of one class alone gives 0: the convention's own limit.
        """
        scores, labels = in_single(raw)[:, 0], target
        valid = labels != IGNORE
        count = valid.sum().clamp(min=1)
        if self.positive_weight is None:
            weight = (labels == 0).sum().to(scores.dtype) / count
        else:
            weight = scores.new_tensor(self.positive_weight)
        positive = weight * F.softplus(-scores).where(labels == 1, 0.0).sum()
        negative = (1 - weight) * F.softplus(scores).where(labels == 0, 0.0).sum()
        return (positive + negative) / count

    def colour_prediction(self, prediction: npt.NDArray[np.float32]) -> RGB:
        """Between the two colours by probability."""
        share = np.clip(prediction[0].astype(np.float64), 0, 1)[..., None]
        low, high = (np.array(colour, np.float64) for colour in self.colours)
        picture: RGB = (low + share * (high - low)).round().astype(np.uint8)
        return picture

    def colour_target(self, target: npt.NDArray[np.generic]) -> RGB:
        """One of the two colours; unlabelled pixels are black."""
        return class_colours(target, np.array(self.colours, np.uint8))

    def error_map(
        self, prediction: npt.NDArray[np.float32], target: npt.NDArray[np.generic]
    ) -> npt.NDArray[np.float32]:
        """Distance of the probability to the label; NaN where unlabelled."""
        labels = target.astype(np.int64)
        error = np.abs(np.clip(prediction[0], 0, 1) - labels)
        return np.where(labels == IGNORE, np.nan, error).astype(np.float32)

    def legend(self) -> Mapping[str, tuple[int, int, int]]:
        """The two classes' names and colours, where the dataset names both."""
        return dict(zip(self.classes, self.colours, strict=True)) if len(self.classes) == 2 else {}
