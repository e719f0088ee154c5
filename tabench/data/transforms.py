"""Joint augmentation of an image and its targets: zoom-crop, then horizontal flip.

The authors' recipe for NYUv2 and CityScapes: zoom by a factor from {1, 1.2, 1.5}
(image and normals bilinear, labels and depth nearest, depth divided by the factor), then
a flip with probability 0.5 that negates the normals' x. CityScapes' disparity is divided as
well, as the released code does, though a camera that zooms in sees more of it, not less.

A zoomed window is sampled in one of two ways (`Resampling`), by the same draws. `CLEAN`: pixel centres are
aligned for every target; an interpolated normal is valid where its nearest source pixel is, and is scaled
back to unit length, so invalid (0, 0, 0) neighbours neither turn nor shorten it. `PAPER`, as the released
code: corners are aligned for image and normals, labels and depth lie up to a pixel from them, and a mixed
normal stays as it is, shorter than 1 and valid wherever its channels do not sum to 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from tabench.data.base import Array, Sample
from tabench.data.draws import AUGMENT, generator

Value = TypeVar("Value", bound=np.generic)

FACTORS = (1.0, 1.2, 1.5)
FLIP_PROBABILITY = 0.5
SHORTEST = 1e-3  # length of a mixed normal below which no direction is left


@dataclass(frozen=True)
class Transform:
    """A drawn augmentation.

    Attributes:
        factor: Zoom; the window is 1/factor of the image in height and width.
        top: First row of the window.
        left: First column of the window.
        flip: Mirror left and right afterwards.
    """

    factor: float = 1.0
    top: int = 0
    left: int = 0
    flip: bool = False


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


Places = npt.NDArray[np.intp]
Shares = npt.NDArray[np.float32]


def nearest_taps(size: int, source: int) -> Places:
    """(size,) source pixel of each target pixel along an axis ("nearest-exact" in torch's words)."""
    places: Places = np.floor((np.arange(size) + 0.5) * (source / size)).astype(np.intp)
    return places


def floor_taps(size: int, source: int) -> Places:
    """The same by torch's "nearest": target pixel i is source pixel floor(i * source / size), in float32."""
    scaled = np.arange(size, dtype=np.float32) * (np.float32(source) / np.float32(size))
    places: Places = np.minimum(np.floor(scaled).astype(np.intp), source - 1)
    return places


def bilinear_taps(size: int, source: int) -> tuple[Places, Places, Shares]:
    """(size,) lower and upper source pixel of each target pixel along an axis, and the upper one's share."""
    centre = np.clip((np.arange(size, dtype=np.float64) + 0.5) * (source / size) - 0.5, 0, source - 1)
    low = np.minimum(np.floor(centre).astype(np.intp), max(source - 2, 0))
    return low, np.minimum(low + 1, source - 1), (centre - low).astype(np.float32)


def corner_taps(size: int, source: int) -> tuple[Places, Places, Shares]:
    """The same with the outermost pixels' centres aligned (torch's align_corners=True), in float32."""
    step = np.float32(source - 1) / np.float32(max(size - 1, 1))
    place = np.arange(size, dtype=np.float32) * step
    low = np.minimum(np.floor(place).astype(np.intp), source - 1)
    share = np.clip(place - low.astype(np.float32), 0, 1)
    return low, np.minimum(low + 1, source - 1), share


@dataclass(frozen=True)
class Resampling:
    """How a window is brought back to the image's size.

    Attributes:
        nearest: Where pixels of labels, depth and disparity come from, along an axis.
        bilinear: Where those of the image and of normals do.
        unit_normals: Whether mixed normals are scaled to length 1 and valid where their nearest source pixel
            is; else they stay as they are mixed.
    """

    nearest: Callable[[int, int], Places]
    bilinear: Callable[[int, int], tuple[Places, Places, Shares]]
    unit_normals: bool


CLEAN = Resampling(nearest_taps, bilinear_taps, unit_normals=True)
PAPER = Resampling(floor_taps, corner_taps, unit_normals=False)


def augment(sample: Sample, transform: Transform, way: Resampling = CLEAN) -> Sample:
    """Apply a transform to an image and all its targets; the size stays."""
    image = sample.image
    targets = dict(sample.targets)
    if transform.factor != 1.0:
        image, targets = _zoom(image, targets, transform, way)
    if transform.flip:
        image = _mirrored(image)
        targets = {kind: _mirrored(array) for kind, array in targets.items()}
        if "normal" in targets:
            # 0 - x keeps invalid zeros positive, so flipping twice gives the same bytes
            targets["normal"][0] = 0 - cast(Array, targets["normal"])[0]
    return Sample(sample.id, image, targets)


def _mirrored(array: npt.NDArray[Value]) -> npt.NDArray[Value]:
    return np.ascontiguousarray(array[..., ::-1])


def _zoom(
    image: Array, targets: dict[str, npt.NDArray[np.generic]], transform: Transform, way: Resampling
) -> tuple[Array, dict[str, npt.NDArray[np.generic]]]:
    height, width = image.shape[-2:]
    rows, columns = window(height, width, transform.factor)
    crop = (
        ...,
        slice(transform.top, transform.top + rows),
        slice(transform.left, transform.left + columns),
    )
    zoomed: dict[str, npt.NDArray[np.generic]] = {}
    for kind, array in targets.items():
        part = array[crop]
        if kind == "normal":
            zoomed[kind] = resize_normals(cast(Array, part), height, width, way)
        elif kind in ("depth", "disparity"):
            nearest = resize_nearest(cast(Array, part), height, width, way)
            zoomed[kind] = nearest / np.float32(transform.factor)
        else:
            zoomed[kind] = resize_nearest(part, height, width, way)
    return resize_bilinear(image[crop], height, width, way), zoomed


def resize_nearest(
    array: npt.NDArray[Value], height: int, width: int, way: Resampling = CLEAN
) -> npt.NDArray[Value]:
    """Resize the last two axes by nearest neighbour."""
    rows, columns = way.nearest(height, array.shape[-2]), way.nearest(width, array.shape[-1])
    return np.ascontiguousarray(array[..., rows[:, None], columns])


def resize_bilinear(array: Array, height: int, width: int, way: Resampling = CLEAN) -> Array:
    """Resize the last two axes bilinearly."""
    for axis, size in ((-2, height), (-1, width)):
        low, high, share = way.bilinear(size, array.shape[axis])
        if axis == -2:
            share = share[:, None]
        array = np.take(array, low, axis) * (1 - share) + np.take(array, high, axis) * share
    return array


def resize_normals(normal: Array, height: int, width: int, way: Resampling = CLEAN) -> Array:
    """Resize (3, h, w) normals bilinearly; see `Resampling` for which are valid afterwards."""
    mixed = resize_bilinear(normal, height, width, way)
    if not way.unit_normals:
        return mixed
    valid = resize_nearest(np.any(normal != 0, axis=0), height, width, way)
    length = np.linalg.norm(mixed, axis=0)
    valid = valid & (length > SHORTEST)  # opposite neighbours cancel out
    return np.where(valid, mixed / np.where(valid, length, 1), 0).astype(np.float32)
