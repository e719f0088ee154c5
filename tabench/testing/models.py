"""Small models that a registered method has adapted: as it makes them, and after some training steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import torch
from torch import Tensor

from tabench.catalog import METHODS
from tabench.encoders.msam import MSam
from tabench.encoders.sam.family import Backbone
from tabench.engine.model import adapt
from tabench.engine.snapshot import trained_parameters
from tabench.methods.base import Method, Value

# a grid of 4 pads its windows of 3; wide enough for ranks and heads that methods have by default
TINY = Backbone("tiny", 32, 8, 64, 2, 2, (1,), 3, 16, 2, 16, 8)
SIZE = (24, 32)
TASKS = {"first": 3, "second": 1, "third": 2}
SMALL: Mapping[str, Value] = {"rank": 3, "ranks": (3, 4, 2)}

# A plug-in may compute in fp32 inside a fp64 model, or have begun in fp32 (a decomposition of the weights and
# what it leaves over): each layer then rounds by eps, and two blocks, neck and decoder make some tens of it.
FP32_ROUNDING = 256 * torch.finfo(torch.float32).eps
FP64_ROUNDING = 1e-10  # of tabench's own methods, which compute in the model's type throughout


def rounding(name: str) -> float:
    """How far two ways of computing one thing may be apart, relative to its largest value."""
    return FP64_ROUNDING if METHODS.entry(name).source == "tabench" else FP32_ROUNDING


def deviation(got: Tensor, wanted: Tensor) -> float:
    """Largest difference, relative to the largest value."""
    return float((got - wanted).abs().max() / wanted.abs().max())


def channels_of(method: Method, count: int = 3) -> dict[str, int]:
    """Channels of the tasks that one model of a method is trained for."""
    return dict(list(TASKS.items())[: 1 if method.sharing == "per-task" else count])


def make(
    name: str,
    seed: int = 0,
    *,
    adapted: bool = True,
    tasks: int = 3,
    params: Mapping[str, Value] | None = None,
) -> MSam:
    """A model in fp32, as a run makes it: random weights in SAM's place, then the method."""
    method = METHODS.get(name)
    torch.manual_seed(seed)
    model = MSam(TINY, channels_of(method, tasks))
    with torch.no_grad():
        for parameter in model.parameters():  # SAM starts some at 0, where errors hide
            parameter.add_(0.1 * torch.randn_like(parameter))
    if adapted:
        small = {key: value for key, value in SMALL.items() if type(method.defaults.get(key)) is type(value)}
        adapt(model, method, method.params({**small, **(params or {})}))
    return model


def images(count: int = 2) -> Tensor:
    """Images (B, 3, H, W) in 0..1, fp64; the first ones are always the same."""
    return torch.rand(3, 3, *SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)[:count]


def outputs(model: MSam, count: int = 2, tasks: Sequence[str] | None = None) -> dict[str, Tensor]:
    """Raw channels of the first images in evaluation mode, fp64."""
    with torch.no_grad():
        return model.eval()(images(count), SIZE, tasks)


def loss_of(model: MSam, seed: int = 0) -> Tensor:
    """A loss of every task in the model's own mode and type; what is drawn is drawn by the seed."""
    torch.manual_seed(seed)
    values = model(images().to(model.pixel_mean.dtype), SIZE).values()
    return torch.stack([(value - 0.5).square().mean() for value in values]).sum()


@cache
def trained(name: str, tasks: int = 3) -> MSam:
    """A model in fp64 after some steps, in evaluation mode; no test changes it, and nothing is at 0 in it."""
    model = make(name, tasks=tasks).double().train()
    optimiser = torch.optim.Adam(trained_parameters(model).values(), lr=0.02)
    for step in range(3):
        optimiser.zero_grad()
        loss_of(model, step).backward()
        optimiser.step()
    return model.eval()
