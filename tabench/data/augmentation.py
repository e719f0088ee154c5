"""The augmentations of the field's recipes, each for one image (NumPy) and for a batch (torch).

On a CPU the NumPy version is what runs: it is the faster one (`tests/scale/data_speed.py`). On a GPU a batch
takes the same number of kernels whatever its size, and the host is left to read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from tabench.data.base import Augmentation, Sample
from tabench.data.batch_warp import warp_batch
from tabench.data.batch_zoom import zoom_flip_batch
from tabench.data.transforms import CLEAN, Resampling, augment, draw_transform
from tabench.data.warp import draw_warp, warp

if TYPE_CHECKING:
    from torch import Tensor

IGNORE = -1


class ZoomFlip(Augmentation):
    """Zoom-crop and flip: NYUv2 and CityScapes.

    Args:
        way: How a zoomed window is brought back to the image's size; the draws are the same.
    """

    def __init__(self, way: Resampling = CLEAN) -> None:
        self.way = way

    def one(self, sample: Sample, seed: int, epoch: int, index: int) -> Sample:
        """See `transforms.augment`."""
        height, width = sample.image.shape[1:]
        return augment(sample, draw_transform(height, width, seed=seed, epoch=epoch, index=index), self.way)

    def batch(
        self, image: Tensor, targets: Mapping[str, Tensor], seed: int, epoch: int, indices: Sequence[int]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `zoom_flip_batch`."""
        height, width = image.shape[-2:]
        drawn = [draw_transform(height, width, seed=seed, epoch=epoch, index=index) for index in indices]
        return zoom_flip_batch(image, targets, drawn, self.way)


class FlipTurn(Augmentation):
    """Flip, rotation and scaling: PASCAL-Context. An image that people have left has no parts to score."""

    def one(self, sample: Sample, seed: int, epoch: int, index: int) -> Sample:
        """See `warp.warp`."""
        drawn = warp(sample, draw_warp(seed=seed, epoch=epoch, index=index))
        if "parts" not in drawn.targets:
            return drawn
        parts = unless_empty(cast(npt.NDArray[np.int64], drawn.targets["parts"]))
        return Sample(drawn.id, drawn.image, {**drawn.targets, "parts": parts})

    def batch(
        self, image: Tensor, targets: Mapping[str, Tensor], seed: int, epoch: int, indices: Sequence[int]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `warp_batch`."""
        drawn = [draw_warp(seed=seed, epoch=epoch, index=index) for index in indices]
        image, changed = warp_batch(image, targets, drawn)
        if "parts" in changed:
            parts = changed["parts"]
            some = (parts > 0).flatten(1).any(dim=1)[:, None, None]
            changed["parts"] = parts.where(some, IGNORE)
        return image, changed


def unless_empty(parts: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The parts, or all ignored where no part is left: an image without people trains and scores nothing."""
    return parts if (parts > 0).any() else np.full_like(parts, IGNORE)
