"""The decoder with the work moved to its few tokens against the stock `MaskDecoder`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from tabench.encoders.plain import decode_plain
from tabench.encoders.sam import decoding
from tabench.encoders.sam.build import build_mask_decoder
from tabench.encoders.sam.decoding import decode, freeze_idle
from tabench.encoders.sam.family import VIT_B, VIT_NANO, Backbone


def both_ways(backbone: Backbone, images: int, channels: int, dtype: torch.dtype) -> list[list[Tensor]]:
    """Masks and every gradient, by the stock decoder and by `decode`."""
    torch.manual_seed(0)
    decoder = build_mask_decoder(backbone).to(dtype)
    freeze_idle(decoder)
    side, width = 6, backbone.out_chans
    embedding = torch.randn(images, width, side, side, dtype=dtype, requires_grad=True)
    rows = torch.randn(channels, width, dtype=dtype, requires_grad=True)
    pe = torch.randn(1, width, side, side, dtype=dtype)
    weights = torch.randn(images, channels, 4 * side, 4 * side, dtype=dtype)
    trained = [embedding, rows, *(p for p in decoder.parameters() if p.requires_grad)]
    found = []
    for way in (decode_plain, decode):
        masks = way(decoder, embedding, rows, pe)
        found.append([masks, *torch.autograd.grad((masks * weights).sum(), trained)])
    return found


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("channels", [1, 5])
@pytest.mark.parametrize("backbone", [VIT_B, VIT_NANO], ids=lambda backbone: backbone.name)
def test_masks_and_every_gradient(backbone: Backbone, images: int, channels: int) -> None:
    plain, fast = both_ways(backbone, images, channels, torch.float64)
    for theirs, mine in zip(plain, fast, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-10)


def test_channels_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    upscaled: list[int] = []
    monkeypatch.setattr(decoding, "_upscaled", partial(_counting, decoding._upscaled, upscaled))
    monkeypatch.setattr(decoding, "LARGE", 2 * 5 * 36 * VIT_NANO.out_chans)
    plain, fast = both_ways(VIT_NANO, 2, 5, torch.float64)
    assert upscaled == [1] * 10  # forward, and again backward
    for theirs, mine in zip(plain, fast, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-9, atol=1e-10)


def _counting(way: Callable[..., Tensor], counts: list[int], *given: Tensor) -> Tensor:
    counts.append(given[1].shape[1])
    return way(*given)


def test_single_precision() -> None:
    plain, fast = both_ways(VIT_NANO, 2, 4, torch.float32)
    torch.testing.assert_close(fast[0], plain[0], rtol=1e-4, atol=1e-4)
    for theirs, mine in zip(plain[1:], fast[1:], strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-3 * float(theirs.abs().max()) + 1e-4)


def test_the_number_of_heads_is_read_from_the_decoder() -> None:
    plain, fast = both_ways(replace(VIT_NANO, decoder_heads=2), 1, 2, torch.float64)
    torch.testing.assert_close(fast[0], plain[0], rtol=1e-9, atol=1e-10)
