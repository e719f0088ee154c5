"""What every registered method must do, whoever wrote it."""

from __future__ import annotations

import importlib
import re

import pytest
import torch

from tabench.catalog import METHODS
from tabench.errors import SpecError
from tabench.methods.base import Method, Value
from tabench.methods.merging import merged_encoder
from tabench.methods.regulariser import regulariser
from tabench.sam.build import build_image_encoder
from tabench.sam.geometry import Backbone
from tabench.sam.msam import MSam

TINY = Backbone("tiny", 32, 8, 8, 2, 2, (1,), 3, 16, 2, 16, 8)
CHANNELS = {"first": 3, "second": 1, "third": 2}
SIZE = (24, 32)
NORMS = r"blocks\.\d+\.norm[12]\."
TRAINED = {  # what of the encoder each built-in method trains
    "ta-lora": rf"{NORMS}|.*\.factors\.(G|U1|U2|U3)$",
    "ta-lora-cp": rf"{NORMS}|.*\.factors\.(w|A|B|C)$",
    "lora-stl": rf"{NORMS}|.*\.factors\.(A|B)$",
    "lora-hps": rf"{NORMS}|.*\.factors\.(A|B)$",
    "full-stl": r".*",
    "full-hps": r".*",
    "frozen": r"$^",
}
every_method = pytest.mark.parametrize("name", METHODS.names())


def small_params(method: Method, **more: Value) -> dict[str, Value]:
    small: dict[str, Value] = {"rank": 3, "ranks": (3, 4, 2), "dropout": 0.0}
    return method.params({**{key: value for key, value in small.items() if key in method.defaults}, **more})


def channels_of(method: Method) -> dict[str, int]:
    return {"first": 3} if method.sharing == "per-task" else CHANNELS


def adapt(method: Method, model: MSam, **more: Value) -> MSam:
    module, _, attribute = method.parametrisation.partition(":")
    function = getattr(importlib.import_module(module), attribute)
    function(model.image_encoder, len(model.channels), small_params(method, **more))
    return model


def make(name: str, seed: int = 0, adapted: bool = True, **more: Value) -> MSam:
    torch.manual_seed(seed)
    method = METHODS.get(name)
    model = MSam(TINY, channels_of(method))
    for parameter in model.parameters():  # SAM starts some at 0, where errors hide
        torch.nn.init.normal_(parameter, std=0.3)
    return (adapt(method, model, **more) if adapted else model).double()


def images() -> torch.Tensor:
    return torch.rand(2, 3, *SIZE, generator=torch.Generator().manual_seed(1)).double()


def loss_of(model: MSam) -> torch.Tensor:
    outputs = model(images(), SIZE)
    return sum((value - 0.5).square().mean() for value in outputs.values())  # type: ignore[return-value]


@every_method
def test_it_starts_as_the_unadapted_model(name: str) -> None:
    before, after = make(name, adapted=False), make(name)
    for task, value in before(images(), SIZE).items():
        torch.testing.assert_close(after(images(), SIZE)[task], value, rtol=1e-10, atol=1e-12)


@every_method
def test_it_learns(name: str) -> None:
    model = make(name)
    optimiser = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    before = loss_of(model)
    before.backward()
    optimiser.step()
    assert loss_of(model) < before


@every_method
def test_only_intended_parameters_are_trained(name: str) -> None:
    if name not in TRAINED:
        pytest.skip("a method of another package")
    model = make(name)
    # as after a few steps: nothing is at 0 any more, so every trained factor gets a gradient
    for parameter in model.parameters():
        if parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=0.3)
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    loss_of(model).backward()
    optimiser = torch.optim.Adam(model.parameters(), lr=1e-3)
    optimiser.step()
    for key, parameter in model.image_encoder.named_parameters():
        intended = re.match(TRAINED[name], key) is not None
        assert parameter.requires_grad == intended, key
        assert (parameter.grad is not None) == intended, key
        assert torch.equal(parameter, before[f"image_encoder.{key}"]) != intended, key
    for key, parameter in (*model.no_mask.named_parameters(), *model.decoders.named_parameters()):
        assert (parameter.grad is not None) == parameter.requires_grad, key


@every_method
def test_its_state_survives_a_round_trip(name: str) -> None:
    model, other = make(name, seed=0), make(name, seed=1)
    task = next(iter(model.channels))
    assert not torch.allclose(model(images(), SIZE)[task], other(images(), SIZE)[task])
    other.load_state_dict(model.state_dict())
    assert torch.equal(model(images(), SIZE)[task], other(images(), SIZE)[task])


@every_method
def test_a_merged_encoder_gives_its_output(name: str) -> None:
    model = make(name)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    inputs, _ = model.prepare(images())
    stock = build_image_encoder(TINY).double()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for index, embedding in enumerate(model.encode(inputs, list(model.channels)).values()):
        try:
            merged = merged_encoder(model, index)
        except SpecError as error:
            assert name not in TRAINED
            pytest.skip(f"says that it cannot be merged: {error}")
        stock.load_state_dict(merged.state_dict())
        torch.testing.assert_close(stock(inputs), embedding, rtol=1e-10, atol=1e-11)
    assert list(model.state_dict()) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


@every_method
def test_it_trains_under_bf16_autocast_with_dropout(name: str) -> None:
    method = METHODS.get(name)
    more: dict[str, Value] = {"dropout": 0.5} if "dropout" in method.defaults else {}
    model = make(name, **more).float().train()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(images().float(), SIZE)
        loss = sum(value.square().mean() for value in outputs.values()) + regulariser(model)
    assert all(value.dtype == torch.float32 for value in outputs.values())
    assert isinstance(loss, torch.Tensor)
    loss.backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@every_method
def test_one_task_is_enough(name: str) -> None:
    torch.manual_seed(0)
    model = adapt(METHODS.get(name), MSam(TINY, {"only": 2}))
    assert model(images().float(), SIZE)["only"].shape == (2, 2, *SIZE)


@every_method
def test_the_regulariser_is_for_methods_that_declare_it(name: str) -> None:
    value = regulariser(make(name))
    assert (value > 0) == ("orthogonality" in METHODS.get(name).defaults)


@pytest.mark.parametrize("name", ["ta-lora", "ta-lora-cp", "lora-stl", "lora-hps"])
@pytest.mark.parametrize(
    ("key", "value"), [("targets", "qx"), ("targets", ""), ("targets", "qq"), ("dropout", 1.0)]
)
def test_values_out_of_range_are_named(name: str, key: str, value: Value) -> None:
    with pytest.raises(SpecError, match=key):
        make(name, **{key: value})


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        ("ta-lora", "ranks", (4, 0, 2)),
        ("ta-lora", "regularise", "U1,U3"),
        ("ta-lora-cp", "rank", 0),
        ("lora-hps", "rank", -1),
    ],
)
def test_wrong_ranks_are_named(name: str, key: str, value: Value) -> None:
    with pytest.raises(SpecError, match=key):
        make(name, **{key: value})
