"""Parts of people: cross-entropy and mIoU, as segmentation but on labels of their own."""

from __future__ import annotations

from typing import ClassVar

from tabench.tasks.base import MetricInfo
from tabench.tasks.segmentation import Segmentation


class HumanParts(Segmentation):
    """One of background and six groups of parts a pixel; -1 in the whole image where it shows no people."""

    name: ClassVar[str] = "human_parts"
    needs: ClassVar[str] = "parts"
    supported: ClassVar[tuple[str, ...]] = ("paper", "pixel", "pascal", "pascal-rms")
    metrics: ClassVar[tuple[MetricInfo, ...]] = (MetricInfo("miou", "mIoU", "%", "higher"),)
