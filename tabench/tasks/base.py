"""What every task provides.

A task owns everything that is particular to it: how many channels its decoder
returns, how raw channels become a prediction, the loss, the metrics in every
protocol, and how a picture of it is coloured.
Planning reads this without torch, which functions import when they get tensors.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from torch import Tensor

RGB = npt.NDArray[np.uint8]
Parts = dict[str, npt.NDArray[Any]]  # by name; NumPy's number types, no objects


@dataclass(frozen=True)
class MetricInfo:
    """One metric of a task: all that is said of it.

    `key` is its stable name in records ("miou"), `unit` is "%", "m", "deg" or "", `better` "higher" or
    "lower". `digits` are decimals shown in tables. No `protocols` named: all of the task's give it.
    """

    key: str
    title: str
    unit: str
    better: str
    digits: int = 2
    protocols: tuple[str, ...] = ()

    def shown_in(self, protocol: str) -> bool:
        """Whether a protocol gives it."""
        return not self.protocols or protocol in self.protocols


def in_single(raw: Tensor) -> Tensor:
    """Channels in float32 whatever the autocast; those that have more digits stay as they are."""
    import torch

    return raw.to(torch.promote_types(raw.dtype, torch.float32))


class Evaluation(ABC):
    """Accumulates one task's metrics in one protocol over an evaluation split.

    What is measured on a CUDA device may stay there until a result is asked for: `update` then waits for
    nothing, and errors about a prediction come with the result.

    Attributes:
        mergeable: Whether `parts` and `absorb` are there, so that processes can share a split. Without them
            one process measures all of it.
    """

    mergeable: ClassVar[bool] = False

    @abstractmethod
    def update(self, prediction: Tensor, target: Tensor, ids: Sequence[str]) -> None:
        """Add a batch of activated predictions (B, C, H, W) and its target."""

    def follow(self, other: Evaluation) -> bool:
        """Take over what `other` measures, of this task in another protocol, instead of being updated.

        Returns:
            False where the two measure different things: both are then to be updated.
        """
        return False

    @abstractmethod
    def compute(self) -> dict[str, float]:
        """Metric key to value; NaN where the protocol defines none."""

    @abstractmethod
    def per_image(self) -> dict[str, dict[str, float]]:
        """Metric key to {image id: value}; images without a valid pixel are left out."""

    def notes(self) -> list[str]:
        """What a reader must know about the values (absent classes, skipped images)."""
        return []

    def parts(self) -> Parts:
        """All that was measured, for the `absorb` of an accumulator in another process."""
        raise NotImplementedError(f"{type(self).__name__} cannot be merged")

    def absorb(self, parts: Parts, order: Sequence[str]) -> None:
        """Add what another accumulator measured on other images of the split, as if it had been seen here.

        `order` has the ids of all images in the split's order, in which this one then holds them.

        Raises:
            ValueError: Both have measured an image.
        """
        raise NotImplementedError(f"{type(self).__name__} cannot be merged")


class Task(ABC):
    """A dense prediction task.

    Args:
        channels: Output channels N_t of the task's decoder.
        classes: Class names, for tasks that classify; empty otherwise.

    Attributes:
        needs: Kind of target it reads (see `Sample`).
        supported: Protocols its metrics are defined in.
        protocols: Protocols that are evaluated, the main one first; `follow` sets them for a dataset.
        version: Of its metrics, raised whenever a number of theirs changes; it is part of a cell.
        metrics: All its metrics, those first that every protocol has; `metrics_in` gives a protocol's.
        requires: Distributions that its numbers depend on: their versions are part of a cell. (Read for tasks
            of other packages; this one's have a version.)
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    needs: ClassVar[str]
    supported: ClassVar[tuple[str, ...]] = ("paper", "pixel")
    protocols: tuple[str, ...] = ("paper", "pixel")
    metrics: ClassVar[tuple[MetricInfo, ...]]
    requires: ClassVar[tuple[str, ...]] = ()

    def __init__(self, channels: int, classes: Sequence[str] = ()) -> None:
        self.channels = channels
        self.classes = tuple(classes)

    def follow(self, protocols: Sequence[str], more: Sequence[str] = ()) -> None:
        """Evaluate in a dataset's protocols that the task supports; if it supports none, in its own.

        The main one comes first.

        `more` are asked for beside them; none of them becomes the main one.
        """
        mine = tuple(p for p in protocols if p in self.supported) or self.protocols
        self.protocols = tuple(dict.fromkeys((*mine, *(p for p in more if p in self.supported))))

    def metrics_in(self, protocol: str) -> tuple[MetricInfo, ...]:
        """The metrics that an evaluation in a protocol gives."""
        return tuple(metric for metric in self.metrics if metric.shown_in(protocol))

    @abstractmethod
    def activate(self, raw: Tensor) -> Tensor:
        """Turn decoder channels (B, N_t, H, W) into a prediction of the same shape."""

    @abstractmethod
    def loss(self, raw: Tensor, target: Tensor) -> Tensor:
        """Mean loss over valid pixels, a scalar; 0 (with gradient) if no pixel is valid.

        In float32, or in float64 where the channels are: see `in_single`.
        """

    def labelled(self, target: Tensor) -> Tensor:
        """Which images (B,) of a target have a valid pixel: a number other than 0, or a class other than -1.

        Where tasks are balanced, a task is left out of a step in which no image has one.
        """
        valid = target != 0 if target.is_floating_point() else target != -1
        return valid.flatten(1).any(dim=1)

    @abstractmethod
    def evaluation(self, protocol: str) -> Evaluation:
        """A fresh accumulator for a protocol."""

    @abstractmethod
    def colour_prediction(self, prediction: npt.NDArray[np.float32]) -> RGB:
        """Picture (H, W, 3) of an activated prediction (N_t, H, W)."""

    @abstractmethod
    def colour_target(self, target: npt.NDArray[np.generic]) -> RGB:
        """Picture (H, W, 3) of a target; pixels that carry no label are black."""

    @abstractmethod
    def error_map(
        self, prediction: npt.NDArray[np.float32], target: npt.NDArray[np.generic]
    ) -> npt.NDArray[np.float32]:
        """Error per pixel (H, W) in 0..1, lower is better; NaN where no label is."""

    def legend(self) -> Mapping[str, tuple[int, int, int]]:
        """Name to colour, for tasks with classes."""
        return {}
