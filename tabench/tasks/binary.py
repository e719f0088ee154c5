"""Saliency and edges: one yes-or-no channel, sigmoid, balanced cross-entropy, best overlap."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from tabench.tasks.base import RGB, Evaluation, MetricInfo, Task, in_single
from tabench.tasks.colours import IGNORE, class_colours
from tabench.tasks.overlap import OverlapEvaluation

if TYPE_CHECKING:
    from torch import Tensor

NOT_ODS = (
    "F on exact pixels is not odsF: it forgives no distance and does not thin the prediction, so it is far "
    "lower; odsF needs the field's external benchmark (seism)"
)


class BinaryTask(Task):
    """A probability a pixel; target (H, W) is 1, 0 or -1 = ignore.

    Attributes:
        positive_weight: Weight w of positive pixels in the loss, 1 - w of negative ones; None takes the
            share of negative pixels in the batch.
        colours: Of the two classes, 0 first.
        thresholds: Probabilities, the best of which over a split its metrics take.
        pooled: Protocols whose ratios are taken once over all pixels, not once an image.
        remarks: Notes that go with every evaluation.
    """

    supported: ClassVar[tuple[str, ...]] = ("paper", "pixel", "pascal", "pascal-rms")
    positive_weight: ClassVar[float | None] = None
    colours: ClassVar[tuple[tuple[int, int, int], tuple[int, int, int]]] = ((40, 60, 90), (255, 215, 80))
    thresholds: ClassVar[tuple[float, ...]]
    pooled: ClassVar[tuple[str, ...]]
    remarks: ClassVar[tuple[str, ...]] = ()

    def evaluation(self, protocol: str) -> Evaluation:
        """See `OverlapEvaluation`."""
        return OverlapEvaluation(
            protocol,
            self.thresholds,
            pooled=protocol in self.pooled,
            keys=[metric.key for metric in self.metrics],
            remarks=self.remarks,
        )

    def activate(self, raw: Tensor) -> Tensor:
        """Sigmoid of the channel (B, 1, H, W)."""
        return in_single(raw).sigmoid()

    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Balanced cross-entropy (Xie and Tu, HED), a mean over the batch's valid pixels.

        With the share of negatives as weight, a batch of one class alone gives 0: the convention's own limit.
        """
        from torch.nn import functional as F

        scores, labels = in_single(raw)[:, 0], target
        valid = labels != IGNORE
        count = valid.sum().clamp(min=1)
        if self.positive_weight is None:
            weight = (labels == 0).sum().to(scores.dtype) / count
        else:
            weight = scores.new_tensor(self.positive_weight)
        # log(sigmoid(x)) = -softplus(-x), which stays finite where the sigmoid is 0 in float32.
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


class Saliency(BinaryTask):
    """Is the pixel salient; one sigmoid channel.

    The field's convention (Vandenhende, MTLoRA): in all protocols but "pixel" the Jaccard index is averaged
    over images at each of 15 thresholds and the largest average is printed as mIoU; "pixel" takes the index
    over all pixels.
    """

    name: ClassVar[str] = "saliency"
    needs: ClassVar[str] = "saliency"
    thresholds: ClassVar[tuple[float, ...]] = tuple(float(t) for t in np.linspace(0.2, 0.9, 15))
    pooled: ClassVar[tuple[str, ...]] = ("pixel",)
    metrics: ClassVar[tuple[MetricInfo, ...]] = (
        MetricInfo("max_iou", "max mIoU", "%", "higher"),
        MetricInfo("max_f", "max F", "%", "higher"),
    )


class Edges(BinaryTask):
    """Is the pixel on a boundary; one sigmoid channel, positive pixels weigh 0.95 as in the field's code.

    F on exact pixels is taken at the best of 99 thresholds, over all pixels (in "paper" from P and R averaged
    over images).
    """

    name: ClassVar[str] = "edges"
    needs: ClassVar[str] = "edge"
    positive_weight: ClassVar[float | None] = 0.95
    colours: ClassVar[tuple[tuple[int, int, int], tuple[int, int, int]]] = ((25, 35, 60), (255, 255, 255))
    thresholds: ClassVar[tuple[float, ...]] = tuple(step / 100 for step in range(1, 100))
    pooled: ClassVar[tuple[str, ...]] = ("pixel", "pascal", "libmtl", "pascal-rms")
    metrics: ClassVar[tuple[MetricInfo, ...]] = (MetricInfo("max_f", "F (exact pixels)", "%", "higher"),)
    remarks: ClassVar[tuple[str, ...]] = (NOT_ODS,)
