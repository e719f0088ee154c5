"""One class a pixel, of a scene or of people's parts: cross-entropy, mIoU and pixel accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from tabench.tasks.base import RGB, Evaluation, MetricInfo, Task, in_single
from tabench.tasks.colours import IGNORE, class_colours, class_palette
from tabench.tasks.confusion import ConfusionEvaluation

if TYPE_CHECKING:
    from torch import Tensor


class Segmentation(Task):
    """One class a pixel; label -1 marks pixels without one."""

    name: ClassVar[str] = "segmentation"
    needs: ClassVar[str] = "label"
    supported: ClassVar[tuple[str, ...]] = ("paper", "pixel", "pascal", "libmtl", "pascal-rms")
    metrics: ClassVar[tuple[MetricInfo, ...]] = (
        MetricInfo("miou", "mIoU", "%", "higher"),
        MetricInfo("pacc", "Pixel acc.", "%", "higher"),
    )

    def activate(self, raw: Tensor) -> Tensor:
        """Log-softmax over the channels (B, C, H, W)."""
        return in_single(raw).log_softmax(dim=1)

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Mean negative log-likelihood over the batch's labelled pixels."""
        from torch.nn import functional as F

        scores = self.activate(raw)
        if not raw.is_cpu:  # CUDA has no deterministic backward for maps; flattening them costs two copies
            scores, target = scores.permute(0, 2, 3, 1).reshape(-1, raw.shape[1]), target.reshape(-1)
        total = F.nll_loss(scores, target, ignore_index=IGNORE, reduction="sum")
        # The sum over a count of at least 1: torch's own mean of no pixel is NaN.
        return total / (target != IGNORE).sum().clamp(min=1)

    def evaluation(self, protocol: str) -> Evaluation:
        """See `ConfusionEvaluation`."""
        keys = [metric.key for metric in self.metrics]
        return ConfusionEvaluation(protocol, self.channels, self.classes, keys)

    @property
    def _palette(self) -> RGB:
        return class_palette(self.channels, background=self.classes[:1] == ("background",))

    def colour_prediction(self, prediction: npt.NDArray[np.float32]) -> RGB:
        """Colour of the highest-scoring class."""
        return self._palette[prediction.argmax(axis=0)]

    def colour_target(self, target: npt.NDArray[np.generic]) -> RGB:
        """Colour of the label; unlabelled pixels are black."""
        return class_colours(target, self._palette)

    def error_map(
        self, prediction: npt.NDArray[np.float32], target: npt.NDArray[np.generic]
    ) -> npt.NDArray[np.float32]:
        """1 where the class is wrong, 0 where right, NaN where unlabelled."""
        labels = target.astype(np.int64)
        wrong = (prediction.argmax(axis=0) != labels).astype(np.float32)
        return np.where(labels == IGNORE, np.float32(np.nan), wrong)

    def legend(self) -> Mapping[str, tuple[int, int, int]]:
        """Class name to colour."""
        palette = self._palette
        return {
            name: (int(r), int(g), int(b))
            for name, (r, g, b) in zip(self.classes, palette.tolist(), strict=False)
        }


class HumanParts(Segmentation):
    """One of background and six groups of parts a pixel; -1 in the whole image where it shows no people."""

    name: ClassVar[str] = "human_parts"
    needs: ClassVar[str] = "parts"
    supported: ClassVar[tuple[str, ...]] = ("paper", "pixel", "pascal", "pascal-rms")
    metrics: ClassVar[tuple[MetricInfo, ...]] = (MetricInfo("miou", "mIoU", "%", "higher"),)
