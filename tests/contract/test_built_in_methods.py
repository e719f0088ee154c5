"""What tabench's own methods are, beside the battery of every method (tabench.testing)."""

from __future__ import annotations

import re

import pytest
import torch

from tabench.catalog import METHODS
from tabench.errors import SpecError
from tabench.methods.base import Value
from tabench.methods.regulariser import regulariser
from tabench.testing.models import loss_of, make

NORMS = r"blocks\.\d+\.norm[12]\."
TRAINED = {  # what of the encoder each method trains
    "ta-lora": rf"{NORMS}|.*\.factors\.(G|U1|U2|U3)$",
    "ta-lora-cp": rf"{NORMS}|.*\.factors\.(w|A|B|C)$",
    "lora-stl": rf"{NORMS}|.*\.factors\.(A|B)$",
    "lora-hps": rf"{NORMS}|.*\.factors\.(A|B)$",
    "full-stl": r".*",
    "full-hps": r".*",
    "frozen": r"$^",
}
every_method = pytest.mark.parametrize("name", TRAINED)


def test_all_of_them_are_tried_here() -> None:
    assert {entry.name for entry in METHODS.entries() if entry.source == "tabench"} == set(TRAINED)


@every_method
def test_only_intended_parameters_are_trained(name: str) -> None:
    model = make(name).double()
    # as after a few steps: nothing is at 0 any more, so every trained factor gets a gradient
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    before = {key: p.detach().clone() for key, p in model.named_parameters()}
    loss_of(model).backward()
    torch.optim.Adam(model.parameters(), lr=1e-3).step()
    for key, parameter in model.image_encoder.named_parameters():
        intended = re.match(TRAINED[name], key) is not None
        assert parameter.requires_grad == intended, key
        assert (parameter.grad is not None) == intended, key
        assert torch.equal(parameter, before[f"image_encoder.{key}"]) != intended, key
    for key, parameter in (*model.no_mask.named_parameters(), *model.decoders.named_parameters()):
        assert (parameter.grad is not None) == parameter.requires_grad, key


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
        make(name, params={key: value})


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
        make(name, params={key: value})
