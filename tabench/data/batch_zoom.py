"""Zoom-crop and flip of a batch on the device that holds it: what `transforms.augment` does to one image.

Where every pixel comes from is worked out on the host, by the functions that the NumPy version uses; the
device only gathers and mixes, in the same order of float32 operations. Labels, depth and disparity are
therefore equal, image and normals equal up to rounding. Nothing waits for the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tabench.data.sending import send
from tabench.data.transforms import CLEAN, SHORTEST, Resampling, Transform, window

if TYPE_CHECKING:
    from torch import Tensor

Host = npt.NDArray[np.generic]


def zoom_flip_batch(
    image: Tensor, targets: Mapping[str, Tensor], transforms: Sequence[Transform], way: Resampling = CLEAN
) -> tuple[Tensor, dict[str, Tensor]]:
    """Apply to each image and its targets a transform of its own; the size stays.

    Args:
        image: (B, 3, H, W) float32, finite.
        targets: By kind, (B, H, W) or (B, C, H, W) each, on the image's device.
        transforms: One an image.
        way: How windows are brought back to the image's size.

    Returns:
        New tensors of the same shapes, types and device.
    """
    from torch import from_numpy

    rows, columns, taps = _sources(image.shape[-2], image.shape[-1], transforms, way)
    hosts = [rows, columns, *taps, np.array([t.factor for t in transforms], np.float32)]
    hosts += [np.array([t.factor != 1 for t in transforms]), np.array([t.flip for t in transforms])]
    sent = [send(from_numpy(host), image.device) for host in hosts]
    at_rows, at_columns, lower, upper, down, left, right, along, factors, zoomed, flipped = sent

    def nearest(array: Tensor) -> Tensor:
        return take(take(array, at_rows, -2), at_columns, -1)

    def bilinear(array: Tensor) -> Tensor:
        mixed = take(array, lower, -2) * (1 - down) + take(array, upper, -2) * down
        return take(mixed, left, -1) * (1 - along) + take(mixed, right, -1) * along

    changed: dict[str, Tensor] = {}
    for kind, target in targets.items():
        changed[kind] = nearest(target)
        if kind in ("depth", "disparity"):
            changed[kind] = changed[kind] / factors[:, None, None, None]
        elif kind == "normal":
            resized = bilinear(target)
            if way.unit_normals:
                resized = unit_normals(resized, nearest((target != 0).any(dim=1)))
            changed[kind] = resized.where(zoomed[:, None, None, None], changed[kind])
            mirror(changed[kind], flipped)
    # where an image is not zoomed each pixel is mixed with a share of 0, and stays what it is
    return bilinear(image), changed


def take(array: Tensor, places: Tensor, axis: int) -> Tensor:
    """Gather (B, size) places of each image along its axis -2 or -1; array is (B, H, W) or (B, C, H, W)."""
    shape = list(array.shape)
    shape[axis] = places.shape[1]
    view = [1] * array.ndim
    view[0], view[axis] = places.shape
    return array.gather(axis, places.view(view).expand(shape))


def unit_normals(mixed: Tensor, valid: Tensor) -> Tensor:
    """Normals (B, 3, H, W) of length 1; 0 where not valid (B, H, W) and where no direction is left."""
    x, y, z = mixed.unbind(1)
    length = (x * x + y * y + z * z).sqrt()  # in the order of NumPy's norm
    valid = valid & (length > SHORTEST)
    return (mixed / length.where(valid, 1.0)[:, None]).where(valid[:, None], 0.0)


def mirror(normal: Tensor, flipped: Tensor) -> None:
    """Negate, in place, the x of the normals (B, 3, H, W) of flipped (B,) images."""
    # 0 - x keeps invalid zeros positive, as the NumPy version does
    normal[:, 0] = (0 - normal[:, 0]).where(flipped[:, None, None], normal[:, 0])


def _sources(
    height: int, width: int, transforms: Sequence[Transform], way: Resampling
) -> tuple[Host, Host, list[Host]]:
    """Where target pixels come from.

    Returns:
        Nearest rows (B, H) and columns (B, W), and the bilinear taps: lower and upper rows (B, H), the upper
        ones' share (B, 1, H, 1), left and right columns (B, W), the right ones' share (B, 1, 1, W).
    """
    nearest: list[list[Host]] = [[], []]
    taps: list[list[Host]] = [[] for _ in range(6)]
    for drawn in transforms:
        part = window(height, width, drawn.factor)
        for axis, (size, start) in enumerate(((height, drawn.top), (width, drawn.left))):
            step = -1 if axis and drawn.flip else 1
            low, high, share = way.bilinear(size, part[axis])
            nearest[axis].append((start + way.nearest(size, part[axis]))[::step])
            taps[3 * axis].append((start + low)[::step])
            taps[3 * axis + 1].append((start + high)[::step])
            taps[3 * axis + 2].append(share[::step])
    rows, columns, lower, upper, down, left, right, along = (np.stack(found) for found in nearest + taps)
    down, along = down[:, None, :, None], along[:, None, None, :]
    return rows, columns, [lower, upper, down, left, right, along]
