"""Resizing along rows and columns, and what mirroring and mixing do to normals.

A window is sampled in one of two ways (`Resampling`). `CLEAN`: pixel centres are aligned for every target; an
interpolated normal is valid where its nearest source pixel is, and is scaled back to unit length, so invalid
(0, 0, 0) neighbours neither turn nor shorten it. `PAPER`, as the released code: corners are aligned for image
and normals, labels and depth lie up to a pixel from them, and a mixed normal stays as it is, shorter than 1
and valid wherever its channels do not sum to 0.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar, cast

import numpy as np
import numpy.typing as npt
from PIL import Image

from tabench.data.base import Array

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value", bound=np.generic)
Places = npt.NDArray[np.intp]
Shares = npt.NDArray[np.float32]
Targets = dict[str, npt.NDArray[np.generic]]
SHORTEST = 1e-3  # length of a mixed normal below which no direction is left


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
    """How a window is brought back to the image's size."""

    # where pixels of labels, depth and disparity come from, along an axis
    nearest: Callable[[int, int], Places]
    # where those of the image and of normals do
    bilinear: Callable[[int, int], tuple[Places, Places, Shares]]
    # whether mixed normals are scaled to length 1 and valid where their nearest source pixel is; else they
    # stay as they are mixed
    unit_normals: bool


CLEAN = Resampling(nearest_taps, bilinear_taps, unit_normals=True)
PAPER = Resampling(floor_taps, corner_taps, unit_normals=False)


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
    return unit_normals(mixed, resize_nearest(np.any(normal != 0, axis=0), height, width, way))


def unit_normals(mixed: Array, valid: npt.NDArray[np.bool_]) -> Array:
    """Normals (3, H, W) of length 1; 0 where not valid (H, W) and where opposite neighbours cancelled out."""
    length = np.linalg.norm(mixed, axis=0)
    valid = valid & (length > SHORTEST)
    return np.where(valid, mixed / np.where(valid, length, 1), 0).astype(np.float32)


def unit_normals_on_device(mixed: Tensor, valid: Tensor) -> Tensor:
    """The same of (B, 3, H, W) and (B, H, W)."""
    x, y, z = mixed.unbind(1)
    length = (x * x + y * y + z * z).sqrt()  # in the order of NumPy's norm
    valid = valid & (length > SHORTEST)
    return (mixed / length.where(valid, 1.0)[:, None]).where(valid[:, None], 0.0)


def mirrored(image: Array, targets: Mapping[str, npt.NDArray[np.generic]]) -> tuple[Array, Targets]:
    """An image and its targets with left and right exchanged, as new arrays."""
    changed = {kind: np.ascontiguousarray(array[..., ::-1]) for kind, array in targets.items()}
    if "normal" in changed:
        # 0 - x keeps invalid zeros positive, so mirroring twice gives the same bytes
        changed["normal"][0] = 0 - cast(Array, changed["normal"])[0]
    return np.ascontiguousarray(image[..., ::-1]), changed


def negate_x(normal: Tensor, flipped: Tensor) -> None:
    """Negate, in place, the x of the normals (B, 3, H, W) of flipped (B,) images, as `mirrored` does."""
    normal[:, 0] = (0 - normal[:, 0]).where(flipped[:, None, None], normal[:, 0])


def nearest_pixels(length: int, wanted: int) -> npt.NDArray[np.int64]:
    """Which of `length` pixels the centres of `wanted` pixels fall into, along one axis, in whole numbers."""
    return ((2 * np.arange(wanted) + 1) * length) // (2 * wanted)


def shrink(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """An 8-bit (H, W, 3) image at `size` (height, width) in 0..1.

    Bilinear over the area that a new pixel covers (Pillow's filter, so antialiased), in multiples of 1/255.
    """
    height, width = size
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32) / np.float32(255)
