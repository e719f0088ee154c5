"""Cutting a grid of tokens into windows, its heads apart, and putting it together again.

SAM pads the grid to whole windows, cuts it and then moves its heads: three copies of queries, keys and
values. Here each number is copied once, to where it is read, and each gradient once back.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

import torch
from torch import Tensor

Size = tuple[int, int]


def to_windows(grid: Tensor, at_zero: Tensor | None, size: Size) -> Tensor:
    """Cut a grid into windows, padded below and on the right.

    Args:
        grid: Of each kind of token (B, H, W, kinds, heads, d).
        at_zero: What a padded token has, (kinds * heads * d); None takes zeros.
        size: Height and width of a window.

    Returns:
        (kinds, B, windows down, windows across, heads, height, width, d), contiguous.
    """
    found: Tensor = _ToWindows.apply(grid, at_zero, size)
    return found


def to_grid(windows: Tensor, size: Size) -> Tensor:
    """Undo `to_windows`.

    Args:
        windows: As `to_windows` returns them.
        size: (H, W); what was padded is left out.

    Returns:
        (B, H, W, kinds, heads, d), contiguous.
    """
    found: Tensor = _ToGrid.apply(windows, size)
    return found


class _ToWindows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, grid: Tensor, at_zero: Tensor | None, size: Size) -> Tensor:
        batch, height, width, kinds, heads, dim = grid.shape
        ctx.size = (height, width)
        counts = (-(-height // size[0]), -(-width // size[1]))
        windows = grid.new_empty(kinds, batch, *counts, heads, *size, dim)
        if (counts[0] * size[0], counts[1] * size[1]) != ctx.size:
            windows.zero_()
            if at_zero is not None:
                windows += at_zero.view(kinds, 1, 1, 1, heads, 1, 1, dim)
        for place, part in _places(grid, windows):
            part.copy_(place)
        return windows

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (windows,) = gradients
        grid, padded = _gathered(windows, ctx.size), None
        if ctx.needs_input_grad[1]:
            padded = windows.clone()
            for _, part in _places(grid, padded):
                part.zero_()
            padded = padded.sum((1, 2, 3, 5, 6)).flatten()
        return grid, padded, None


class _ToGrid(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, windows: Tensor, size: Size) -> Tensor:
        ctx.shape = windows.shape
        return _gathered(windows, size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        windows = gradients[0].new_zeros(ctx.shape)  # nobody reads what attention makes of the padding
        for place, part in _places(gradients[0], windows):
            part.copy_(place)
        return windows, None


def _gathered(windows: Tensor, size: Size) -> Tensor:
    kinds, batch, _, _, heads, *_, dim = windows.shape
    grid = windows.new_empty(batch, *size, kinds, heads, dim)
    for place, part in _places(grid, windows):
        place.copy_(part)
    return grid


def _places(grid: Tensor, windows: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """The same tokens in both, as views of one shape: whole windows, and those that the grid cuts off."""
    grid = grid.permute(3, 0, 1, 2, 4, 5)
    sides = windows.shape[5:7]
    for (down, i, high), (across, j, wide) in product(*map(_cuts, grid.shape[2:4], sides)):
        place = grid[:, :, down, across].unflatten(3, (-1, wide)).unflatten(2, (-1, high))
        yield place.permute(0, 1, 2, 4, 6, 3, 5, 7), windows[:, :, i, j, :, :high, :wide]


def _cuts(length: int, side: int) -> list[tuple[slice, slice, int]]:
    """Tokens along an axis, the windows that they lie in, and how many lie in each of these."""
    whole = length // side
    cuts = [(slice(0, whole * side), slice(0, whole), side)] if whole else []
    if length % side:
        cuts.append((slice(whole * side, length), slice(whole, whole + 1), length % side))
    return cuts
