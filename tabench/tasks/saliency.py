"""Salient pixels: balanced cross-entropy, mIoU and F at the best threshold."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from tabench.tasks.accumulation import check_protocol
from tabench.tasks.base import Evaluation, MetricInfo
from tabench.tasks.binary import BinaryTask
from tabench.tasks.overlap import OverlapEvaluation

THRESHOLDS = tuple(float(t) for t in np.linspace(0.2, 0.9, 15))


class Saliency(BinaryTask):
    """Is the pixel salient; one sigmoid channel.

    The field's convention (Vandenhende, MTLoRA): in all protocols but "pixel" the Jaccard index is averaged
    over images at each of 15 thresholds and the largest average is printed as mIoU; "pixel" takes the index
    over all pixels.
    """

    name: ClassVar[str] = "saliency"
    needs: ClassVar[str] = "saliency"
    metrics: ClassVar[tuple[MetricInfo, ...]] = (
        MetricInfo("max_iou", "max mIoU", "%", "higher"),
        MetricInfo("max_f", "max F", "%", "higher"),
    )

    def evaluation(self, protocol: str) -> Evaluation:
        """See `OverlapEvaluation`."""
        check_protocol(protocol)
        keys = [metric.key for metric in self.metrics]
        return OverlapEvaluation(THRESHOLDS, pooled=protocol == "pixel", keys=keys)
