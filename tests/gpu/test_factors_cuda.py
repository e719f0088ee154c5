"""The factored updates and mSAM on a CUDA device, against the CPU."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from tabench.encoders.msam import MSam
from tabench.encoders.sam.family import Backbone
from tabench.methods.base import Value
from tabench.methods.catalog import TA_LORA
from tabench.methods.factors import CPFactors, TuckerFactors
from tabench.methods.low_rank import adapt_tucker
from tabench.methods.merging import merged_encoder
from tabench.methods.regulariser import regulariser

TINY = Backbone("tiny", 32, 8, 8, 2, 2, (1,), 3, 16, 2, 16, 8)


@pytest.mark.parametrize("made", [TuckerFactors(24, 36, 3, (8, 8, 4)), CPFactors(24, 36, 3, 8)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-10), (torch.float32, 1e-5)])
def test_forward_and_gradients_equal_the_dense_update(
    made: nn.Module, dtype: torch.dtype, tolerance: float
) -> None:
    torch.manual_seed(0)
    module = made.to("cuda", dtype)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    x = torch.randn(3, 50, 24, device="cuda", dtype=dtype, requires_grad=True)
    got, expected = module(x, range(3)), torch.einsum("tmd,dkt->tmk", x, module.dense())
    weights = torch.randn_like(got)
    leaves = [x, *module.parameters()]
    pairs = zip(
        [got, *torch.autograd.grad((got * weights).sum(), leaves)],
        [expected, *torch.autograd.grad((expected * weights).sum(), leaves)],
        strict=True,
    )
    for a, b in pairs:
        assert (a - b).norm() / b.norm() < tolerance


def model_on_cpu() -> MSam:
    torch.manual_seed(0)
    params: dict[str, Value] = {"ranks": (4, 4, 2), "dropout": 0.0}
    model = MSam(TINY, {"a": 3, "b": 1})
    adapt_tucker(model.image_encoder, 2, TA_LORA.params(params))
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.3)
    return model


def test_msam_equals_the_cpu() -> None:
    model = model_on_cpu().double()
    images = torch.rand(2, 3, 24, 32, dtype=torch.float64)
    expected = model(images, (24, 32))
    (sum(value.square().sum() for value in expected.values()) + regulariser(model)).backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    model.cuda()
    got = model(images.cuda(), (24, 32))
    (sum(value.square().sum() for value in got.values()) + regulariser(model)).backward()
    for task, value in expected.items():
        # the positional encoding is fp32 on both devices, and sine differs in its last bits
        torch.testing.assert_close(got[task].cpu(), value, rtol=1e-4, atol=1e-4)
    for name, p in model.named_parameters():
        if p.grad is not None:
            error = (p.grad.cpu() - gradients[name]).norm() / gradients[name].norm().clamp_min(1e-6)
            assert error < 1e-3, name


def test_bf16_autocast_trains_and_merges() -> None:
    model = model_on_cpu().cuda()
    images = torch.rand(2, 3, 24, 32, device="cuda")
    with torch.autocast("cuda", torch.bfloat16):
        outputs = model(images, (24, 32))
    assert all(value.dtype == torch.float32 for value in outputs.values())
    sum(value.square().mean() for value in outputs.values()).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    inputs, _ = model.prepare(images)
    merged = merged_encoder(model, 1)(inputs)
    torch.testing.assert_close(merged, model.encode(inputs, ["a", "b"])["b"], rtol=1e-3, atol=1e-3)
