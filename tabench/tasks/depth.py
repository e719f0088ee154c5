"""Depth in metres: L1 loss, absolute and relative error."""

from __future__ import annotations

from typing import ClassVar

from tabench.tasks.base import MetricInfo
from tabench.tasks.distance import Distance


class Depth(Distance):
    """Metric depth; target 0 marks invalid pixels.

    Attributes:
        shown: Depths (m) at the two ends of the colour map, the same in every picture: dark is near.
    """

    name: ClassVar[str] = "depth"
    needs: ClassVar[str] = "depth"
    metrics: ClassVar[tuple[MetricInfo, ...]] = (
        MetricInfo("abs_err", "Abs err", "m", "lower", 4),
        MetricInfo("rel_err", "Rel err", "", "lower", 4),
    )
    shown: ClassVar[tuple[float, float]] = (0.0, 10.0)
