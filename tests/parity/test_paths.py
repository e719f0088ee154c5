"""The fast path against the plain one: all methods, one to four tasks, outputs and every gradient."""

from __future__ import annotations

import pytest
import torch
from plain_msam import geometry, randomise
from plain_msam import plain_forward as oracle
from torch import Tensor, nn

from tabench.catalog import METHODS
from tabench.encoders.msam import MSam
from tabench.encoders.plain import dense_updates, plainly
from tabench.encoders.sam.build import build_sam
from tabench.engine.model import adapt
from tabench.errors import SpecError
from tabench.methods.base import Value
from tabench.methods.injection import AdaptedLinear

CHANNELS = {"first": 3, "second": 1, "third": 2, "fourth": 1}
SMALL: dict[str, Value] = {"rank": 3, "ranks": (3, 4, 2), "dropout": 0.0}
SIZE, OUT = (24, 32), (12, 20)
ADAPTED = ["ta-lora", "ta-lora-cp", "lora-stl", "lora-hps"]


def make(
    method: str, tasks: int = 3, dtype: torch.dtype = torch.float64, window: int = 3, **params: Value
) -> MSam:
    """A model with nothing at its initial value; every method is given all the tasks."""
    torch.manual_seed(0)
    entry = METHODS.get(method)
    model = MSam(geometry(window), dict(list(CHANNELS.items())[:tasks]))
    small = {key: value for key, value in {**SMALL, **params}.items() if key in entry.defaults}
    adapt(model, entry, entry.params(small))
    model.to(dtype)
    randomise(model)
    return model


def images_of(batch: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(batch, 3, *SIZE, generator=torch.Generator().manual_seed(1), dtype=dtype)


def outputs_and_gradients(model: MSam, images: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Outputs, and the gradient of a sum in which every output element has a weight of its own."""
    outputs = model(images, OUT)
    generator = torch.Generator().manual_seed(7)
    loss = torch.stack(
        [
            (value.tanh() * torch.randn(value.shape, generator=generator, dtype=value.dtype)).sum()
            for value in outputs.values()
        ]
    ).sum()
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    return outputs, dict(zip(named, torch.autograd.grad(loss, list(named.values())), strict=True))


def both(model: MSam, images: Tensor) -> list[tuple[dict[str, Tensor], dict[str, Tensor]]]:
    found = []
    for path in ("fast", "plain"):
        plainly(model, path == "plain")
        found.append(outputs_and_gradients(model, images))
    return found


def deviation(mine: Tensor, reference: Tensor) -> float:
    """Largest difference, over the largest value of the reference.

    Some gradients are 0 (a key's bias leaves the softmax alone), so the value counts as 0.01 at least.
    """
    return float(((mine - reference).abs().max() / reference.abs().max().clamp_min(1e-2)).detach())


def assert_alike(
    model: MSam, images: Tensor, outputs: float = 1e-10, gradients: float = 1e-10
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The fast path equals the plain one; the fast one's outputs and gradients."""
    (mine, my_gradients), (plain, wanted) = both(model, images)
    assert list(mine) == list(plain)
    for task, value in plain.items():
        assert deviation(mine[task], value) < outputs, task
    for name, gradient in wanted.items():
        assert deviation(my_gradients[name], gradient) < gradients, name
    return mine, my_gradients


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("tasks", [1, 2, 3, 4])
@pytest.mark.parametrize("method", METHODS.names())
def test_double_precision(method: str, tasks: int, batch: int) -> None:
    mine, _ = assert_alike(make(method, tasks), images_of(batch))
    assert list(mine) == list(CHANNELS)[:tasks]
    for task, value in mine.items():
        assert value.shape == (batch, CHANNELS[task], *OUT)


@pytest.mark.parametrize("tasks", [1, 4])
@pytest.mark.parametrize("method", METHODS.names())
def test_single_precision(method: str, tasks: int) -> None:
    assert_alike(make(method, tasks, torch.float32), images_of(3, torch.float32), 1e-4, 1e-3)


@pytest.mark.parametrize("window", [2, 3], ids=["exact windows", "padded windows"])
@pytest.mark.parametrize("method", METHODS.names())
def test_the_plain_path_is_the_written_formulas(method: str, window: int) -> None:
    model = make(method, window=window)
    assert_alike(model, images_of(2))
    got, expected = model(images_of(2), OUT), oracle(model, images_of(2), OUT)
    for task, value in expected.items():
        torch.testing.assert_close(got[task], value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("targets", ["q", "v", "qv", "kv"])
@pytest.mark.parametrize("method", ADAPTED)
def test_updates_of_some_of_q_k_and_v(method: str, targets: str) -> None:
    assert_alike(make(method, targets=targets), images_of(2))


@pytest.mark.parametrize("plain", [False, True])
@pytest.mark.parametrize("method", ["ta-lora", "lora-hps", "full-hps"])
def test_some_of_the_tasks_in_another_order(method: str, plain: bool) -> None:
    model = plainly(make(method, 4), plain)
    everything = model(images_of(2), OUT)
    some = model(images_of(2), OUT, tasks=["third", "first"])
    assert list(some) == ["third", "first"]
    for task, value in some.items():
        torch.testing.assert_close(value, everything[task], rtol=1e-12, atol=1e-12)
    with pytest.raises(SpecError, match="fifth"):
        model(images_of(1), OUT, tasks=["fifth"])


def test_the_factored_layers_are_back_afterwards_even_after_an_error() -> None:
    model = make("ta-lora")
    before = [block.attn.qkv for block in model.image_encoder.blocks]
    with dense_updates(model.image_encoder) as layers:
        assert [block.attn.qkv for block in model.image_encoder.blocks] == layers
    assert [block.attn.qkv for block in model.image_encoder.blocks] == before
    plainly(model)
    with pytest.raises(RuntimeError, match="greater than 0"):
        model(images_of(1), (0, 0))
    assert [block.attn.qkv for block in model.image_encoder.blocks] == before
    assert all(isinstance(layer, AdaptedLinear) for layer in before)


class Shifted(nn.Module):
    """Somebody's own layer: what it makes of 0 is neither 0 nor the bias."""

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.shift = nn.Parameter(torch.randn(base.in_features, dtype=base.weight.dtype))

    def forward(self, x: Tensor) -> Tensor:
        return self.base(torch.tanh(x + self.shift))


def test_a_layer_of_which_nothing_is_known() -> None:
    model = make("full-hps")
    for block in model.image_encoder.blocks:
        block.attn.qkv = Shifted(block.attn.qkv)
    _, gradients = assert_alike(model, images_of(2))
    assert any("shift" in name for name in gradients)


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
