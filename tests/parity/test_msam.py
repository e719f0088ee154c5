"""The folded, batched mSAM against a plain loop: outputs and every gradient in double precision."""

from __future__ import annotations

import pytest
import torch
from plain_msam import geometry, plain_embedding, plain_forward, randomise
from torch import Tensor

from tabench.catalog import METHODS
from tabench.encoders.msam import MSam
from tabench.encoders.sam.build import build_image_encoder, build_sam
from tabench.engine.model import adapt
from tabench.methods.merging import merged_encoder

CHANNELS = {"first": 3, "second": 1, "third": 2}
SIZE = (24, 32)


def make(method: str, tasks: int = 3, window: int = 3, **params: object) -> MSam:
    """An adapted model in double precision with nothing at its initial value."""
    torch.manual_seed(0)
    model = MSam(geometry(window), dict(list(CHANNELS.items())[:tasks]))
    entry = METHODS.get(method)
    small = {"ta-lora": {"ranks": (3, 4, 2)}, "ta-lora-cp": {"rank": 3}, "lora-hps": {"rank": 3}}[method]
    adapt(model, entry, entry.params({**small, "dropout": 0.0, **params}))
    model.double()
    randomise(model)
    return model


def total(outputs: dict[str, Tensor]) -> Tensor:
    """A scalar in which every output element has its own weight."""
    generator = torch.Generator().manual_seed(7)
    return sum(  # type: ignore[return-value]
        (value.tanh() * torch.randn(value.shape, generator=generator, dtype=value.dtype)).sum()
        for value in outputs.values()
    )


@pytest.mark.parametrize("window", [2, 3], ids=["exact-windows", "padded-windows"])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("tasks", [1, 2, 3])
@pytest.mark.parametrize("method", ["ta-lora", "ta-lora-cp", "lora-hps"])
def test_folded_equals_the_plain_loop(method: str, tasks: int, batch: int, window: int) -> None:
    model = make(method, tasks, window)
    images = torch.rand(batch, 3, *SIZE, dtype=torch.float64)
    got, expected = model(images, (12, 20)), plain_forward(model, images, (12, 20))
    assert list(got) == list(expected)
    for task in got:
        assert got[task].shape == (batch, CHANNELS[task], 12, 20)
        torch.testing.assert_close(got[task], expected[task], rtol=1e-10, atol=1e-10)
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    mine = torch.autograd.grad(total(got), list(named.values()))
    theirs = torch.autograd.grad(total(expected), list(named.values()))
    for name, a, b in zip(named, mine, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9, msg=lambda text, n=name: f"{n}: {text}")


def test_without_an_adapter_it_is_sam_itself() -> None:
    torch.manual_seed(0)
    sam = build_sam(geometry())
    model = MSam(geometry(), {"only": 2}, "sam")
    model.load_sam(sam.state_dict())
    image = torch.rand(3, *SIZE)
    with torch.no_grad():
        inputs = sam.preprocess(image * 255)[None]
        sparse, dense = sam.prompt_encoder(points=None, boxes=None, masks=None)
        low_res, _ = sam.mask_decoder(
            image_embeddings=sam.image_encoder(inputs),
            image_pe=sam.prompt_encoder.get_dense_pe(),
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        expected = sam.postprocess_masks(low_res, SIZE, (20, 28))[0, 0]
        got = model(image[None], (20, 28))["only"][0]
    torch.testing.assert_close(model.prepare(image[None])[0], inputs)
    for channel in got:  # all rows start from the one pretrained embedding
        torch.testing.assert_close(channel, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("method", ["ta-lora", "ta-lora-cp"])
def test_a_loss_on_one_task_leaves_the_others_alone(method: str) -> None:
    model = make(method)
    model(torch.rand(2, 3, *SIZE, dtype=torch.float64), SIZE)["second"].square().sum().backward()
    for block in model.image_encoder.blocks:
        factors = block.attn.qkv.factors
        rows = factors.U3.grad if method == "ta-lora" else factors.C.grad
        assert rows[1].any()
        assert not rows[[0, 2]].any()
    assert model.no_mask["first"].grad is None
    assert all(p.grad is None for p in model.decoders["third"].parameters())


@pytest.mark.parametrize("targets", ["q", "qv", "kv", "qkv"])
@pytest.mark.parametrize("method", ["ta-lora", "ta-lora-cp", "lora-hps"])
def test_a_merged_encoder_is_a_plain_sam_encoder(method: str, targets: str) -> None:
    model = make(method, targets=targets)
    inputs = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    embeddings = model.encode(inputs, list(model.channels))
    stock = build_image_encoder(model.backbone).double()
    for index, embedding in enumerate(embeddings.values()):
        stock.load_state_dict(merged_encoder(model, index).state_dict())
        torch.testing.assert_close(stock(inputs), embedding, rtol=1e-10, atol=1e-10)
        if targets == "qkv":
            torch.testing.assert_close(
                plain_embedding(model, inputs, index), embedding, rtol=1e-10, atol=1e-10
            )
