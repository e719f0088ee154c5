"""Resizing: images antialiased, everything that must not be mixed by the nearest pixel."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from PIL import Image


def nearest_pixels(length: int, wanted: int) -> npt.NDArray[np.int64]:
    """Which of `length` pixels the centres of `wanted` pixels fall into, along one axis."""
    return ((2 * np.arange(wanted) + 1) * length) // (2 * wanted)


def resize_nearest(array: npt.NDArray[np.generic], size: tuple[int, int]) -> npt.NDArray[np.generic]:
    """The (H, W, ...) array at `size` (height, width), every value one of the input's."""
    rows, cols = (nearest_pixels(array.shape[axis], size[axis]) for axis in (0, 1))
    return array[np.ix_(rows, cols)]


def resize_image(image: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.float32]:
    """An 8-bit (H, W, 3) image at `size` (height, width) in 0..1.

    Bilinear over the area that a new pixel covers (Pillow's filter, so antialiased), in
    multiples of 1/255.
    """
    height, width = size
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(small, dtype=np.float32) / np.float32(255)
