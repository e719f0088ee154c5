"""Windows of a grid, against segment_anything's own cutting and joining, in double precision."""

from __future__ import annotations

import pytest
import torch
from segment_anything.modeling.image_encoder import window_partition, window_unpartition
from torch import Tensor
from torch.nn import functional as F

from tabench.encoders.sam.windows import to_grid, to_windows

KINDS, HEADS, DIM = 3, 2, 4


def sams_windows(grid: Tensor, at_zero: Tensor, size: tuple[int, int]) -> Tensor:
    """`to_windows` by SAM's padding of the tokens above what they have at zero."""
    flat = (grid.flatten(3) - at_zero).double()
    height, width = flat.shape[1:3]
    below, right = -height % size[0], -width % size[1]
    if size[0] == size[1]:
        windows, _ = window_partition(flat, size[0])
    else:  # SAM's own windows are squares; one of another form is the grid
        windows = F.pad(flat, (0, 0, 0, right, 0, below))
    counts = ((height + below) // size[0], (width + right) // size[1])
    windows = (windows + at_zero).view(len(grid), *counts, *size, KINDS, HEADS, DIM)
    return windows.permute(5, 0, 1, 2, 6, 3, 4, 7)


@pytest.mark.parametrize(
    ("grid", "size"), [((4, 6), (2, 2)), ((5, 7), (3, 3)), ((2, 3), (4, 4)), ((3, 5), (3, 5))], ids=str
)
def test_windows_and_their_gradients(grid: tuple[int, int], size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    tokens = torch.randn(2, *grid, KINDS, HEADS, DIM, dtype=torch.float64, requires_grad=True)
    at_zero = torch.randn(KINDS * HEADS * DIM, dtype=torch.float64, requires_grad=True)
    mine, theirs = to_windows(tokens, at_zero, size), sams_windows(tokens, at_zero, size)
    assert mine.is_contiguous()
    torch.testing.assert_close(mine, theirs, rtol=0, atol=1e-14)
    slope = torch.randn_like(mine)
    found, expected = (torch.autograd.grad(w, (tokens, at_zero), slope) for w in (mine, theirs))
    for got, want in zip(found, expected, strict=True):
        torch.testing.assert_close(got, want, rtol=0, atol=1e-13)


@pytest.mark.parametrize("grid", [(4, 6), (5, 7)], ids=str)
def test_joining_is_sams_joining(grid: tuple[int, int]) -> None:
    torch.manual_seed(0)
    side = 3
    counts = tuple(-(-length // side) for length in grid)
    windows = torch.randn(1, 2, *counts, HEADS, side, side, DIM, dtype=torch.float64, requires_grad=True)
    mine = to_grid(windows, grid)
    squares = windows[0].permute(0, 1, 2, 4, 5, 3, 6).reshape(-1, side, side, HEADS * DIM)
    theirs = window_unpartition(squares, side, (counts[0] * side, counts[1] * side), grid)
    assert torch.equal(mine.flatten(3), theirs)
    slope = torch.randn_like(mine)
    (found,), (expected,) = (
        torch.autograd.grad(out, windows, s) for out, s in ((mine, slope), (theirs, slope.flatten(3)))
    )
    assert torch.equal(found, expected)
