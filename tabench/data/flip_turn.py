"""Flip, then rotation and scaling about the centre: the field's augmentation for PASCAL-Context.

Flip with probability 0.5, rotation by up to 20 degrees, scale 0.75..1.25; labels nearest, normals turned
and mirrored with the image. Two choices are this project's: the image is sampled bilinearly, and what lies
outside of it is black and carries no label (the field's code takes it for background).

NumPy does it to one image, torch to a batch on its device (see `zoom_flip` for which runs when). Where every
pixel comes from is computed in float64 by one function, so that labels are equal; the image and the normals
are equal up to rounding.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

import numpy as np
import numpy.typing as npt

from tabench.data.base import Array, Augmentation, Sample
from tabench.data.draws import AUGMENT, generator
from tabench.data.loading import send
from tabench.data.resampling import mirrored, negate_x, unit_normals, unit_normals_on_device

if TYPE_CHECKING:
    from torch import Tensor

Value = TypeVar("Value", bound=np.generic)
Coordinates = npt.NDArray[np.float64]

IGNORE = -1
DEGREES = 20.0
SCALES = (0.75, 1.25)
FLIP_PROBABILITY = 0.5


@dataclass(frozen=True)
class Warp:
    """A drawn augmentation."""

    flip: bool = False  # mirror left and right first
    degrees: float = 0.0  # rotation about the centre, counter-clockwise as seen
    scale: float = 1.0  # enlargement about the centre

    @property
    def moves(self) -> bool:
        """Whether pixels are sampled anew."""
        return self.degrees != 0 or self.scale != 1

    @property
    def numbers(self) -> tuple[float, float, float]:
        """Scale, and cosine and sine of the angle."""
        turn = math.radians(self.degrees)
        return self.scale, math.cos(turn), math.sin(turn)


class FlipTurn(Augmentation):
    """Flip, rotation and scaling: PASCAL-Context. An image that people have left has no parts to score."""

    def one(self, sample: Sample, seed: int, epoch: int, index: int) -> Sample:
        """See `warp`."""
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


def draw_warp(*, seed: int, epoch: int, index: int) -> Warp:
    """Draw the augmentation of one image; depends on the arguments alone."""
    rng = generator(seed, AUGMENT, epoch, index)
    flip = bool(rng.random() < FLIP_PROBABILITY)
    return Warp(flip, float(rng.uniform(-DEGREES, DEGREES)), float(rng.uniform(*SCALES)))


def warp(sample: Sample, drawn: Warp) -> Sample:
    """Apply an augmentation to an image and all its targets; the size stays.

    Targets with three axes are vectors ("normal"), invalid where zero; the others are labels, -1 = ignore.
    """
    image, targets = sample.image, dict(sample.targets)
    if drawn.flip:
        image, targets = mirrored(image, targets)
    if drawn.moves:
        height, width = image.shape[-2:]
        rows, columns = _sources(np.arange(height), np.arange(width), *drawn.numbers)
        image = _bilinear(image, rows, columns)
        targets = {
            kind: _normals(cast(Array, array), rows, columns, drawn)
            if kind == "normal"
            else _nearest(array, rows, columns, IGNORE)
            for kind, array in targets.items()
        }
    return Sample(sample.id, image, targets)


def _sources(y: Any, x: Any, scale: Any, cos: Any, sin: Any) -> tuple[Any, Any]:
    """Row and column in the source of every target pixel, (..., H, W) each, by NumPy or by torch.

    Of rows y (H,) and columns x (W,); scale, cosine and sine are numbers, or tensors (B, 1, 1).
    """
    middle_y, middle_x = (len(y) - 1) / 2, (len(x) - 1) / 2
    y, x = (y - middle_y)[:, None] / scale, (x - middle_x)[None, :] / scale
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


def _normals(normal: Array, rows: Coordinates, columns: Coordinates, drawn: Warp) -> Array:
    """Sample unit normals and turn them; valid where the nearest source pixel is."""
    valid = _nearest(np.any(normal != 0, axis=0), rows, columns, 0)
    x, y, z = _bilinear(normal, rows, columns)
    _, cos, sin = drawn.numbers
    return unit_normals(np.stack([x * cos + y * sin, y * cos - x * sin, z]), valid)


def warp_batch(
    image: Tensor, targets: Mapping[str, Tensor], warps: Sequence[Warp]
) -> tuple[Tensor, dict[str, Tensor]]:
    """What `warp` does, to each image (B, 3, H, W) of a batch by a warp of its own, on the batch's device.

    Labels are (B, H, W) with -1 = ignore, "normal" is (B, 3, H, W). Gives new tensors of the same shapes,
    types and device, and waits for nothing.
    """
    import torch

    flips = send(torch.tensor([w.flip for w in warps]), image.device)
    moved = send(torch.tensor([w.moves for w in warps]), image.device)
    sent = send(torch.tensor([w.numbers for w in warps], dtype=torch.float64), image.device)
    scale, cos, sin = sent[:, :, None, None].unbind(1)
    y, x = (torch.arange(size, dtype=torch.float64, device=image.device) for size in image.shape[-2:])
    rows, columns = _sources(y, x, scale, cos, sin)

    def flipped(array: Tensor) -> Tensor:
        view = flips.view(-1, *[1] * (array.ndim - 1))
        return array.flip(-1).where(view, array)

    changed: dict[str, Tensor] = {}
    for kind, target in targets.items():
        source = flipped(target)
        if kind == "normal":
            negate_x(source, flips)
            turned = _normals_on_device(source, rows, columns, cos.float(), sin.float())
            changed[kind] = turned.where(moved[:, None, None, None], source)
        else:
            changed[kind] = _nearest_on_device(source, rows, columns, IGNORE)
    return _bilinear_on_device(flipped(image), rows, columns), changed


def _nearest_on_device(array: Tensor, rows: Tensor, columns: Tensor, outside: float) -> Tensor:
    """As `_nearest`, of (B, H, W)."""
    height, width = array.shape[-2:]
    at_row, at_column = (rows + 0.5).floor().long(), (columns + 0.5).floor().long()
    inside = (at_row >= 0) & (at_row < height) & (at_column >= 0) & (at_column < width)
    taken = _at(array[:, None], at_row.clamp(0, height - 1), at_column.clamp(0, width - 1))[:, 0]
    return taken.where(inside, outside)


def _bilinear_on_device(array: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """As `_bilinear`, of (B, C, H, W)."""
    from torch.nn.functional import pad

    padded = pad(array, (1, 1, 1, 1))
    height, width = padded.shape[-2:]
    rows, columns = (rows + 1).clamp(0, height - 1), (columns + 1).clamp(0, width - 1)
    top, left = rows.floor().long().clamp(max=height - 2), columns.floor().long().clamp(max=width - 2)
    down, right = (rows - top).float()[:, None], (columns - left).float()[:, None]
    above = _at(padded, top, left) * (1 - right) + _at(padded, top, left + 1) * right
    below = _at(padded, top + 1, left) * (1 - right) + _at(padded, top + 1, left + 1) * right
    mixed = above * (1 - down) + below * down
    low, high = (bound[:, None, None, None] for bound in array.flatten(1).aminmax(dim=1))
    return mixed.clamp(low.clamp(max=0), high.clamp(min=0))  # rounding may step outside


def _normals_on_device(normal: Tensor, rows: Tensor, columns: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """As `_normals`, of (B, 3, H, W)."""
    from torch import stack

    valid = _nearest_on_device((normal != 0).any(dim=1), rows, columns, False)
    x, y, z = _bilinear_on_device(normal, rows, columns).unbind(1)
    return unit_normals_on_device(stack([x * cos + y * sin, y * cos - x * sin, z], dim=1), valid)


def _at(array: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pixels (B, C, h, w) of (B, C, H, W) at rows and columns (B, h, w)."""
    places = (rows * array.shape[-1] + columns).flatten(1)[:, None].expand(-1, array.shape[1], -1)
    return array.flatten(2).gather(2, places).view(*array.shape[:2], *rows.shape[1:])
