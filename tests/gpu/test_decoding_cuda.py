"""The batched decoder on CUDA: equal to the stock one in fp32, close under bf16 autocast."""

from __future__ import annotations

import pytest
import torch

from tabench.encoders.plain import decode_plain
from tabench.encoders.resampling import restore
from tabench.encoders.sam.build import build_mask_decoder
from tabench.encoders.sam.decoding import decode
from tabench.encoders.sam.family import VIT_B


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-4), ("bf16", 5e-2)])
def test_it_equals_the_stock_decoder(precision: str, tolerance: float) -> None:
    torch.manual_seed(0)
    decoder = build_mask_decoder(VIT_B).cuda()
    embedding = torch.randn(2, 256, 64, 64, device="cuda")
    rows, pe = torch.randn(13, 256, device="cuda"), torch.randn(1, 256, 64, 64, device="cuda")
    plain = decode_plain(decoder, embedding, rows, pe)
    with torch.autocast("cuda", torch.bfloat16, enabled=precision == "bf16"):
        fast = decode(decoder, embedding, rows, pe)
    error = (fast.float() - plain).abs().max() / plain.abs().max()
    assert float(error) < tolerance


def test_resizing_runs_where_the_masks_are() -> None:
    masks = torch.randn(1, 3, 256, 256)
    on_cpu = restore(masks, 1024, (768, 1024), (288, 384))
    on_gpu = restore(masks.cuda(), 1024, (768, 1024), (288, 384))
    torch.testing.assert_close(on_gpu.cpu(), on_cpu, rtol=1e-4, atol=1e-5)
