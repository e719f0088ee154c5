"""Resizing as two matrices against resizing as pictures."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tabench.encoders.resampling import restore

SIDES = st.integers(1, 40)


def as_pictures(masks: torch.Tensor, side: int, inner: tuple[int, int], out: tuple[int, int]) -> torch.Tensor:
    """SAM's own two steps."""
    whole = F.interpolate(masks, (side, side), mode="bilinear", align_corners=False)
    return F.interpolate(whole[..., : inner[0], : inner[1]], out, mode="bilinear", align_corners=False)


@given(SIDES, SIDES, st.integers(1, 40), st.data())
@settings(max_examples=60, deadline=None)
def test_both_ways_are_one_map(low: int, height: int, width: int, data: st.DataObject) -> None:
    side = data.draw(st.integers(low, 4 * low))
    inner = (data.draw(st.integers(1, side)), data.draw(st.integers(1, side)))
    masks = torch.randn(2, 3, low, low, dtype=torch.float64, requires_grad=True)
    weights = torch.randn(2, 3, height, width, dtype=torch.float64)
    mine = restore(masks, side, inner, (height, width))
    theirs = as_pictures(masks, side, inner, (height, width))
    torch.testing.assert_close(mine, theirs, rtol=1e-10, atol=1e-12)
    gradients = [torch.autograd.grad((way * weights).sum(), masks)[0] for way in (mine, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("out", [(288, 384), (768, 1024), (100, 37)])
def test_at_sams_own_size_in_single_precision(out: tuple[int, int]) -> None:
    masks = torch.randn(1, 2, 256, 256)
    mine, theirs = (way(masks, 1024, (768, 1024), out) for way in (restore, as_pictures))
    # F.interpolate takes its coordinates, up to 1024, in single precision: 5e-5 of a pixel
    torch.testing.assert_close(mine, theirs, rtol=0, atol=5e-4)
    exact = as_pictures(masks.double(), 1024, (768, 1024), out)
    assert (mine - exact).abs().max() <= (theirs - exact).abs().max() + 1e-6


def test_it_also_works_after_inference() -> None:
    with torch.inference_mode():
        restore(torch.randn(1, 1, 7, 7), 14, (14, 14), (5, 5))
    masks = torch.randn(1, 1, 7, 7, requires_grad=True)
    restore(masks, 14, (14, 14), (5, 5)).sum().backward()
    assert masks.grad is not None
