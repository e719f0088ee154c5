"""Flip, rotation and scaling of a batch on the device that holds it: what `warp.warp` does to one image.

Where every pixel comes from is computed in float64, step by step as the NumPy version does, so that labels
are equal; the image and the normals are equal up to rounding. Nothing waits for the device.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tabench.data.batch_zoom import mirror, unit_normals
from tabench.data.sending import send
from tabench.data.warp import Warp

if TYPE_CHECKING:
    from torch import Tensor


def warp_batch(
    image: Tensor, targets: Mapping[str, Tensor], warps: Sequence[Warp]
) -> tuple[Tensor, dict[str, Tensor]]:
    """Apply to each image and its targets a warp of its own; the size stays.

    Args:
        image: (B, 3, H, W) float32, finite.
        targets: By kind, on the image's device: labels (B, H, W) with -1 = ignore, and "normal" (B, 3, H, W).
        warps: One an image.

    Returns:
        New tensors of the same shapes, types and device.
    """
    import torch

    height, width = image.shape[-2:]
    flips = send(torch.tensor([w.flip for w in warps]), image.device)
    moved = send(torch.tensor([w.degrees != 0 or w.scale != 1 for w in warps]), image.device)
    turns = [math.radians(w.degrees) for w in warps]
    numbers = [(w.scale, math.cos(turn), math.sin(turn)) for w, turn in zip(warps, turns, strict=True)]
    sent = send(torch.tensor(numbers, dtype=torch.float64), image.device)
    scale, cos, sin = sent[:, :, None, None].unbind(1)
    y = (torch.arange(height, dtype=torch.float64, device=image.device) - (height - 1) / 2)[:, None] / scale
    x = (torch.arange(width, dtype=torch.float64, device=image.device) - (width - 1) / 2)[None, :] / scale
    rows, columns = x * sin + y * cos + (height - 1) / 2, x * cos - y * sin + (width - 1) / 2

    def mirrored(array: Tensor) -> Tensor:
        view = flips.view(-1, *[1] * (array.ndim - 1))
        return array.flip(-1).where(view, array)

    changed: dict[str, Tensor] = {}
    for kind, target in targets.items():
        source = mirrored(target)
        if kind == "normal":
            mirror(source, flips)
            turned = _normals(source, rows, columns, cos.float(), sin.float())
            changed[kind] = turned.where(moved[:, None, None, None], source)
        else:
            changed[kind] = _nearest(source, rows, columns, -1)
    return _bilinear(mirrored(image), rows, columns), changed


def _nearest(array: Tensor, rows: Tensor, columns: Tensor, outside: float) -> Tensor:
    """Sample (B, H, W) at the nearest pixel."""
    height, width = array.shape[-2:]
    at_row, at_column = (rows + 0.5).floor().long(), (columns + 0.5).floor().long()
    inside = (at_row >= 0) & (at_row < height) & (at_column >= 0) & (at_column < width)
    taken = _at(array[:, None], at_row.clamp(0, height - 1), at_column.clamp(0, width - 1))[:, 0]
    return taken.where(inside, outside)


def _bilinear(array: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Sample (B, C, H, W); outside is 0, and a border pixel fades into it by its share."""
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


def _normals(normal: Tensor, rows: Tensor, columns: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Sample unit normals and turn them; valid where the nearest source pixel is."""
    from torch import stack

    valid = _nearest((normal != 0).any(dim=1), rows, columns, False)
    x, y, z = _bilinear(normal, rows, columns).unbind(1)
    return unit_normals(stack([x * cos + y * sin, y * cos - x * sin, z], dim=1), valid)


def _at(array: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Pixels (B, C, h, w) of (B, C, H, W) at rows and columns (B, h, w)."""
    places = (rows * array.shape[-1] + columns).flatten(1)[:, None].expand(-1, array.shape[1], -1)
    return array.flatten(2).gather(2, places).view(*array.shape[:2], *rows.shape[1:])
