"""Joint augmentation of an image and its targets: flip, then rotation and scaling about the centre.

The field's recipe for PASCAL-Context: flip with probability 0.5, rotation by up to 20 degrees, scale
0.75..1.25; labels nearest, normals turned and mirrored with the image. Two choices are this project's: the
image is sampled bilinearly, and what lies outside of it is black and carries no label (the field's code takes
it for background).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from tabench.data.base import Array, Sample
from tabench.data.draws import AUGMENT, generator

Value = TypeVar("Value", bound=np.generic)

DEGREES = 20.0
SCALES = (0.75, 1.25)
FLIP_PROBABILITY = 0.5


@dataclass(frozen=True)
class Warp:
    """A drawn augmentation.

    Attributes:
        flip: Mirror left and right first.
        degrees: Rotation about the centre, counter-clockwise as seen.
        scale: Enlargement about the centre.
    """

    flip: bool = False
    degrees: float = 0.0
    scale: float = 1.0


def draw_warp(*, seed: int, epoch: int, index: int) -> Warp:
    """Draw the augmentation of one image; depends on the arguments alone."""
    rng = generator(seed, AUGMENT, epoch, index)
    flip = bool(rng.random() < FLIP_PROBABILITY)
    return Warp(flip, float(rng.uniform(-DEGREES, DEGREES)), float(rng.uniform(*SCALES)))


def warp(sample: Sample, drawn: Warp) -> Sample:
    """Apply an augmentation to an image and all its targets; the size stays.

    Targets with three axes are vectors ("normal"), invalid where zero; the others are labels, -1 = ignore.
    """
    image = sample.image
    targets = dict(sample.targets)
    if drawn.flip:
        image = _mirrored(image)
        targets = {kind: _mirrored(array) for kind, array in targets.items()}
        if "normal" in targets:
            # 0 - x keeps invalid zeros positive, so flipping twice gives the same bytes
            targets["normal"][0] = 0 - cast(Array, targets["normal"])[0]
    if drawn.degrees or drawn.scale != 1:
        rows, columns = _sources(image.shape[-2], image.shape[-1], drawn)
        image = _bilinear(image, rows, columns)
        targets = {
            kind: _normals(cast(Array, array), rows, columns, drawn.degrees)
            if kind == "normal"
            else _nearest(array, rows, columns, -1)
            for kind, array in targets.items()
        }
    return Sample(sample.id, image, targets)


def _mirrored(array: npt.NDArray[Value]) -> npt.NDArray[Value]:
    return np.ascontiguousarray(array[..., ::-1])


Coordinates = npt.NDArray[np.float64]


def _sources(height: int, width: int, drawn: Warp) -> tuple[Coordinates, Coordinates]:
    """Row and column in the source of every target pixel, (H, W) each."""
    middle_y, middle_x = (height - 1) / 2, (width - 1) / 2
    y = (np.arange(height) - middle_y)[:, None] / drawn.scale
    x = (np.arange(width) - middle_x)[None, :] / drawn.scale
    cos, sin = math.cos(math.radians(drawn.degrees)), math.sin(math.radians(drawn.degrees))
    # the inverse of (x, y) -> (x cos + y sin, y cos - x sin), counter-clockwise where y points down
    return x * sin + y * cos + middle_y, x * cos - y * sin + middle_x


def _nearest(
    array: npt.NDArray[Value], rows: Coordinates, columns: Coordinates, outside: float
) -> npt.NDArray[Value]:
    height, width = array.shape[-2:]
    at_row, at_column = np.floor(rows + 0.5).astype(np.intp), np.floor(columns + 0.5).astype(np.intp)
    inside = (at_row >= 0) & (at_row < height) & (at_column >= 0) & (at_column < width)
    taken: npt.NDArray[Value] = array[..., np.clip(at_row, 0, height - 1), np.clip(at_column, 0, width - 1)]
    taken[..., ~inside] = outside
    return taken


def _bilinear(array: Array, rows: Coordinates, columns: Coordinates) -> Array:
    """Sample (C, H, W); outside is 0, and a border pixel fades into it by its share."""
    padded = np.pad(array, ((0, 0), (1, 1), (1, 1)))
    height, width = padded.shape[-2:]
    rows, columns = np.clip(rows + 1, 0, height - 1), np.clip(columns + 1, 0, width - 1)
    top = np.minimum(np.floor(rows).astype(np.intp), height - 2)
    left = np.minimum(np.floor(columns).astype(np.intp), width - 2)
    down, right = (rows - top).astype(np.float32), (columns - left).astype(np.float32)
    above = padded[:, top, left] * (1 - right) + padded[:, top, left + 1] * right
    below = padded[:, top + 1, left] * (1 - right) + padded[:, top + 1, left + 1] * right
    mixed: Array = above * (1 - down) + below * down
    return np.clip(mixed, min(array.min(), 0), max(array.max(), 0))  # rounding may step outside


def _normals(normal: Array, rows: Coordinates, columns: Coordinates, degrees: float) -> Array:
    """Sample unit normals and turn them; valid where the nearest source pixel is."""
    valid = _nearest(np.any(normal != 0, axis=0), rows, columns, 0)
    x, y, z = _bilinear(normal, rows, columns)
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = np.stack([x * cos + y * sin, y * cos - x * sin, z])
    length = np.linalg.norm(turned, axis=0)
    valid = valid & (length > 1e-3)
    return np.where(valid, turned / np.where(valid, length, 1), 0).astype(np.float32)
