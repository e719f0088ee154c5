"""The encoder's fused attention and the passes of a step on a CUDA device, against the plain path on it."""

from __future__ import annotations

import pytest
import torch

from tabench.encoders.msam import MSam
from tabench.encoders.plain import plainly
from tabench.encoders.sam.family import Backbone
from tabench.methods.catalog import TA_LORA
from tabench.methods.low_rank import adapt_tucker

# a grid of 16 in windows of 7: padded windows; head dimension 32
SMALL = Backbone("small", 128, 8, 64, 3, 2, (1,), 7, 32, 4, 64, 32)
CHANNELS = {"first": 5, "second": 1, "third": 3}


def made(dtype: torch.dtype) -> MSam:
    torch.manual_seed(0)
    model = MSam(SMALL, CHANNELS)
    adapt_tucker(model.image_encoder, 3, TA_LORA.params({"ranks": (4, 4, 2), "dropout": 0.0}))
    model = model.to("cuda", dtype)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def results(model: MSam, images: torch.Tensor, path: str, *, autocast: bool = False) -> list[torch.Tensor]:
    plainly(model, path == "plain")
    with torch.autocast("cuda", torch.bfloat16, enabled=autocast):
        outputs = model(images, (96, 128))
    total = sum((value.float().tanh() * (1 + index)).sum() for index, value in enumerate(outputs.values()))
    trained = [p for p in model.parameters() if p.requires_grad]
    return [
        *(value.detach() for value in outputs.values()),
        *torch.autograd.grad(total, trained, allow_unused=True),
    ]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-8), (torch.float32, 2e-3)])
@pytest.mark.parametrize("recompute", [False, True])
def test_fast_path_equals_the_plain_one(dtype: torch.dtype, tolerance: float, recompute: bool) -> None:
    model = made(dtype)
    images = torch.rand(2, 3, 96, 128, device="cuda", dtype=dtype)
    model.recompute = recompute
    fast, plain = results(model, images, "fast"), results(model, images, "plain")
    largest = max(float(g.abs().max()) for g in plain if g is not None)
    for mine, theirs in zip(fast, plain, strict=True):
        assert (mine is None) == (theirs is None)
        if mine is not None:
            torch.testing.assert_close(mine, theirs, rtol=tolerance, atol=tolerance * largest)


def test_bf16_stays_near_single_precision() -> None:
    model = made(torch.float32)
    images = torch.rand(2, 3, 96, 128, device="cuda")
    exact, half = results(model, images, "plain"), results(model, images, "fast", autocast=True)
    for task, mine, theirs in zip(CHANNELS, half, exact, strict=False):
        error = (mine - theirs).norm() / theirs.norm()
        assert error < 0.05, task


def test_compiled_blocks_give_the_same() -> None:
    model = made(torch.float32)
    images = torch.rand(1, 3, 96, 128, device="cuda")
    expected = results(model, images, "fast")
    model.compiled = True
    for mine, theirs in zip(results(model, images, "fast"), expected, strict=True):
        if theirs is not None:
            torch.testing.assert_close(mine, theirs, rtol=2e-3, atol=2e-3 * float(theirs.abs().max()))
