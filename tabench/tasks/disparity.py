"""Disparity as the CityScapes layout stores it: L1 loss, absolute error and the raw ratio of it."""

from __future__ import annotations

from typing import ClassVar

from tabench.tasks.base import MetricInfo
from tabench.tasks.distance import Distance


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
    metrics: ClassVar[tuple[MetricInfo, ...]] = (
        MetricInfo("abs_err", "Abs err", "", "lower", 4),
        MetricInfo("rel_err", "Rel err (ratio)", "", "lower", 2),
    )
    shown: ClassVar[tuple[float, float]] = (0.0, 0.3)
    remarks: ClassVar[tuple[str, ...]] = (
        "the values are rescaled and have no unit, and the relative error is the raw ratio |p - d| / d, "
        "which far pixels (d near 0) dominate: not comparable with the relative error of depth on NYUv2",
    )
