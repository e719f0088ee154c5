"""Colours of pictures: classes, depth and normals. Black is kept for "no label"."""

from __future__ import annotations

import colorsys
from functools import cache

import numpy as np
import numpy.typing as npt

from tabench.tasks.base import RGB

# Chosen by farthest-point search in CIELAB so that any two stay apart (Delta E 76 over 25) for
# normal, deuteranopic and protanopic sight, and all stand out from black.
THIRTEEN = (
    (0, 0, 255),
    (170, 0, 0),
    (255, 234, 149),
    (128, 0, 64),
    (170, 128, 106),
    (21, 149, 170),
    (255, 106, 255),
    (0, 255, 0),
    (106, 191, 64),
    (42, 85, 234),
    (21, 64, 128),
    (255, 191, 255),
    (128, 255, 212),
)
IGNORE = -1  # label of pixels without a class
GOLDEN = 0.618034  # hue step of generated colours: neighbours in the list are far apart


BACKGROUND = (96, 96, 96)  # a class of its own, but not one to look at


def class_palette(count: int, *, background: bool = False) -> RGB:
    """(count, 3) colours: thirteen fixed ones, then generated ones, all different; a background is grey."""
    chosen = (BACKGROUND, *_palette(count - 1)) if background else _palette(count)
    return np.array(chosen, dtype=np.uint8).reshape(count, 3)


@cache
def _palette(count: int) -> tuple[tuple[int, int, int], ...]:
    colours = list(THIRTEEN[:count])
    step = 0
    while len(colours) < count:
        value = (1.0, 0.75, 0.55)[step % 3]
        saturation = (0.9, 0.55)[step // 3 % 2]
        red, green, blue = colorsys.hsv_to_rgb(step * GOLDEN % 1, saturation, value)
        colour = (round(255 * red), round(255 * green), round(255 * blue))
        if colour not in colours:
            colours.append(colour)
        step += 1
    return tuple(colours)


def class_colours(labels: npt.NDArray[np.generic], palette: RGB) -> RGB:
    """Colours (H, W, 3) of labels (H, W); unlabelled pixels are black."""
    known = labels.astype(np.int64)
    # -1 would be the palette's last colour; its pixels are blackened below.
    picture: RGB = palette[np.maximum(known, 0)]
    picture[known == IGNORE] = 0
    return picture


@cache
def _viridis() -> RGB:
    import matplotlib  # on first use: it is slow to import

    table: RGB = (matplotlib.colormaps["viridis"](np.arange(256))[:, :3] * 255).round().astype(np.uint8)
    return table


def depth_colours(depth: npt.NDArray[np.floating], shown: tuple[float, float]) -> RGB:
    """Viridis colours (H, W, 3) of depths (H, W); outside `shown` the end colours are used."""
    low, high = shown
    # A NaN has no integer, and would be any colour.
    share = np.nan_to_num((depth.astype(np.float64) - low) / (high - low), nan=0.0)
    return _viridis()[(np.clip(share, 0, 1) * 255).round().astype(np.intp)]


def normal_colours(normal: npt.NDArray[np.floating]) -> RGB:
    """(n + 1) / 2 of vectors (3, H, W) as colours (H, W, 3)."""
    share = np.clip((np.nan_to_num(normal.astype(np.float64)) + 1) / 2, 0, 1)
    picture: RGB = np.ascontiguousarray(np.moveaxis((share * 255).round().astype(np.uint8), 0, 2))
    return picture
