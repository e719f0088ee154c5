"""Boundaries of labels: balanced cross-entropy with a fixed weight, F on exact pixels."""

from __future__ import annotations

from typing import ClassVar

from tabench.tasks.accumulation import check_protocol
from tabench.tasks.base import Evaluation, MetricInfo
from tabench.tasks.binary import BinaryTask
from tabench.tasks.overlap import OverlapEvaluation

THRESHOLDS = tuple(step / 100 for step in range(1, 100))
NOT_ODS = (
    "F on exact pixels is not odsF: it forgives no distance and does not thin the prediction, so it is far "
    "lower; odsF needs the field's external benchmark (seism)"
)


class Edges(BinaryTask):
    """Is the pixel on a boundary; one sigmoid channel, positive pixels weigh 0.95 as in the field's code."""

    name: ClassVar[str] = "edges"
    needs: ClassVar[str] = "edge"
    positive_weight: ClassVar[float | None] = 0.95
    colours: ClassVar[tuple[tuple[int, int, int], tuple[int, int, int]]] = ((25, 35, 60), (255, 255, 255))
    metrics: ClassVar[tuple[MetricInfo, ...]] = (MetricInfo("max_f", "F (exact pixels)", "%", "higher"),)

    def evaluation(self, protocol: str) -> Evaluation:
        """F at the best of 99 thresholds, over all pixels (in "paper" from P and R averaged over images)."""
        check_protocol(protocol)
        return _ExactPixels(THRESHOLDS, pooled=protocol != "paper", keys=["max_f"])


class _ExactPixels(OverlapEvaluation):
    def notes(self) -> list[str]:
        """As ever, and what the number is not."""
        return [*super().notes(), NOT_ODS]
