"""Zoom-crop, then horizontal flip: the authors' augmentation for NYUv2 and CityScapes.

Zoom by a factor from {1, 1.2, 1.5} (image and normals bilinear, labels and depth nearest, depth divided by
the factor), then a flip with probability 0.5 that negates the normals' x. CityScapes' disparity is divided as
well, as the released code does, though a camera that zooms in sees more of it, not less.

On a CPU the NumPy version is what runs: it is the faster one (`tests/scale/data_speed.py`). On a GPU a batch
takes the same number of kernels whatever its size. Where every pixel comes from is worked out on the host, by
the functions that the NumPy version uses; the device only gathers and mixes, in the same order of float32
operations. Labels, depth and disparity are therefore equal, image and normals equal up to rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import numpy as np
import numpy.typing as npt

from tabench.data.base import Array, Augmentation, Sample
from tabench.data.draws import AUGMENT, generator
from tabench.data.loading import send
from tabench.data.resampling import (
    CLEAN,
    Resampling,
    Targets,
    mirrored,
    negate_x,
    resize_bilinear,
    resize_nearest,
    resize_normals,
    unit_normals_on_device,
)

if TYPE_CHECKING:
    from torch import Tensor

Host = npt.NDArray[np.generic]
FACTORS = (1.0, 1.2, 1.5)
FLIP_PROBABILITY = 0.5


@dataclass(frozen=True)
class Transform:
    """A drawn augmentation."""

    factor: float = 1.0  # zoom; the window is 1/factor of the image in height and width
    top: int = 0  # first row of the window
    left: int = 0  # first column of the window
    flip: bool = False  # mirror left and right afterwards


class ZoomFlip(Augmentation):
    """Zoom-crop and flip: NYUv2 and CityScapes; `way` is how a window is brought back to the image's size."""

    def __init__(self, way: Resampling = CLEAN) -> None:
        self.way = way

    def one(self, sample: Sample, seed: int, epoch: int, index: int) -> Sample:
        """See `zoom_flip`."""
        drawn = draw_transform(*sample.image.shape[1:], seed=seed, epoch=epoch, index=index)
        return zoom_flip(sample, drawn, self.way)

    def batch(
        self, image: Tensor, targets: Mapping[str, Tensor], seed: int, epoch: int, indices: Sequence[int]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """See `zoom_flip_batch`."""
        height, width = image.shape[-2:]
        drawn = [draw_transform(height, width, seed=seed, epoch=epoch, index=index) for index in indices]
        return zoom_flip_batch(image, targets, drawn, self.way)


def draw_transform(height: int, width: int, *, seed: int, epoch: int, index: int) -> Transform:
    """Draw the augmentation of one image; depends on the arguments alone."""
    rng = generator(seed, AUGMENT, epoch, index)
    factor = FACTORS[int(rng.integers(len(FACTORS)))]
    rows, columns = window(height, width, factor)
    top = int(rng.integers(height - rows + 1))
    left = int(rng.integers(width - columns + 1))
    return Transform(factor, top, left, bool(rng.random() < FLIP_PROBABILITY))


def window(height: int, width: int, factor: float) -> tuple[int, int]:
    """Rows and columns of the zoomed window."""
    return max(1, int(height / factor)), max(1, int(width / factor))


def zoom_flip(sample: Sample, transform: Transform, way: Resampling = CLEAN) -> Sample:
    """Apply a transform to an image and all its targets; the size stays."""
    image, targets = sample.image, dict(sample.targets)
    if transform.factor != 1.0:
        image, targets = _zoom(image, targets, transform, way)
    if transform.flip:
        image, targets = mirrored(image, targets)
    return Sample(sample.id, image, targets)


def _zoom(image: Array, targets: Targets, drawn: Transform, way: Resampling) -> tuple[Array, Targets]:
    size = (image.shape[-2], image.shape[-1])
    rows, columns = window(*size, drawn.factor)
    crop = (..., slice(drawn.top, drawn.top + rows), slice(drawn.left, drawn.left + columns))
    zoomed: Targets = {}
    for kind, array in targets.items():
        if kind == "normal":
            zoomed[kind] = resize_normals(cast(Array, array[crop]), *size, way)
        elif kind in ("depth", "disparity"):
            zoomed[kind] = resize_nearest(cast(Array, array[crop]), *size, way) / np.float32(drawn.factor)
        else:
            zoomed[kind] = resize_nearest(array[crop], *size, way)
    return resize_bilinear(image[crop], *size, way), zoomed


def zoom_flip_batch(
    image: Tensor, targets: Mapping[str, Tensor], transforms: Sequence[Transform], way: Resampling = CLEAN
) -> tuple[Tensor, dict[str, Tensor]]:
    """What `zoom_flip` does, to each image (B, 3, H, W) by a transform of its own, on the batch's device.

    Targets are (B, H, W) or (B, C, H, W). Gives new tensors of the same shapes, types and device, and waits
    for nothing.
    """
    from torch import from_numpy

    rows, columns, taps = _sources(image.shape[-2], image.shape[-1], transforms, way)
    hosts = [rows, columns, *taps, np.array([t.factor for t in transforms], np.float32)]
    hosts += [np.array([t.factor != 1 for t in transforms]), np.array([t.flip for t in transforms])]
    sent = [send(from_numpy(host), image.device) for host in hosts]
    at_rows, at_columns, lower, upper, down, left, right, along, factors, zoomed, flipped = sent

    def nearest(array: Tensor) -> Tensor:
        return _take(_take(array, at_rows, -2), at_columns, -1)

    def bilinear(array: Tensor) -> Tensor:
        mixed = _take(array, lower, -2) * (1 - down) + _take(array, upper, -2) * down
        return _take(mixed, left, -1) * (1 - along) + _take(mixed, right, -1) * along

    changed: dict[str, Tensor] = {}
    for kind, target in targets.items():
        changed[kind] = nearest(target)
        if kind in ("depth", "disparity"):
            changed[kind] = changed[kind] / factors[:, None, None, None]
        elif kind == "normal":
            resized = bilinear(target)
            if way.unit_normals:
                resized = unit_normals_on_device(resized, nearest((target != 0).any(dim=1)))
            changed[kind] = resized.where(zoomed[:, None, None, None], changed[kind])
            negate_x(changed[kind], flipped)
    # where an image is not zoomed each pixel is mixed with a share of 0, and stays what it is
    return bilinear(image), changed


def _take(array: Tensor, places: Tensor, axis: int) -> Tensor:
    """Gather (B, size) places of each image along its axis -2 or -1; array is (B, H, W) or (B, C, H, W)."""
    shape = list(array.shape)
    shape[axis] = places.shape[1]
    view = [1] * array.ndim
    view[0], view[axis] = places.shape
    return array.gather(axis, places.view(view).expand(shape))


def _sources(
    height: int, width: int, transforms: Sequence[Transform], way: Resampling
) -> tuple[Host, Host, list[Host]]:
    """Nearest rows (B, H) and columns (B, W) of target pixels, and their bilinear taps.

    The taps are lower and upper rows (B, H), the upper ones' share (B, 1, H, 1), left and right columns
    (B, W), the right ones' share (B, 1, 1, W).
    """
    nearest: list[list[Host]] = [[], []]
    taps: list[list[Host]] = [[] for _ in range(6)]
    for drawn in transforms:
        part = window(height, width, drawn.factor)
        for axis, (size, start) in enumerate(((height, drawn.top), (width, drawn.left))):
            step = -1 if axis and drawn.flip else 1
            low, high, share = way.bilinear(size, part[axis])
            nearest[axis].append((start + way.nearest(size, part[axis]))[::step])
            found: tuple[Host, Host, Host] = (start + low, start + high, share)
            for place, tap in enumerate(found):
                taps[3 * axis + place].append(tap[::step])
    rows, columns, lower, upper, down, left, right, along = (np.stack(held) for held in nearest + taps)
    down, along = down[:, None, :, None], along[:, None, None, :]
    return rows, columns, [lower, upper, down, left, right, along]
