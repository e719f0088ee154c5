"""Modules inserted into SAM's blocks, tasks that differ from a later block on, and a stream of no task."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from tabench.catalog import METHODS
from tabench.encoders.base import Site, TaskFold
from tabench.encoders.msam import MSam
from tabench.encoders.plain import plainly
from tabench.encoders.sam.family import Backbone
from tabench.engine.model import adapt
from tabench.errors import SpecError
from tabench.methods.base import Value
from tabench.methods.low_rank import adapt_tucker

TINY = Backbone("tiny", 32, 8, 8, 3, 2, (1,), 3, 16, 2, 16, 8)  # a grid of 4, windows of 3: padded
CHANNELS = {"first": 2, "second": 1, "third": 1}
SIZE = (24, 32)
SITES = TINY.sites()


class PerTask(nn.Module):
    """Adds, or multiplies with, a number a task; notes the shapes that it gets."""

    def __init__(self, fold: TaskFold, tasks: int, start: float) -> None:
        super().__init__()
        self.fold, self.seen = fold, set[tuple[int, ...]]()
        self.value = nn.Parameter(start + 0.1 * torch.randn(tasks + 1, 8))  # the last row is of no task

    def forward(self, x: Tensor) -> Tensor:
        self.seen.add(tuple(x.shape[1:]))
        rows = self.value[list(self.fold.tasks)]
        return (x.unflatten(0, (len(rows), -1)) * rows[:, None, None, None]).flatten(0, 1)


def model_of(fold: TaskFold, sites: list[Site]) -> tuple[MSam, list[PerTask]]:
    torch.manual_seed(0)
    model = MSam(TINY, CHANNELS)
    with torch.no_grad():
        for parameter in model.parameters():  # SAM starts some at 0, where errors hide
            parameter.add_(0.1 * torch.randn_like(parameter))
    model.image_encoder.task_fold = fold  # type: ignore[assignment]
    modules = []
    for site in sites:
        modules.append(PerTask(fold, 3, 0.0 if site.where == "parallel" else 1.0))
        TINY.insert(model.image_encoder, site, modules[-1])
    return model.double().train(), modules


def paths(model: MSam) -> dict[bool, dict[str, Tensor]]:
    """Outputs and gradients, plain and fast."""
    images, found = torch.rand(2, 3, *SIZE, dtype=torch.float64), {}
    for plain in (True, False):
        plainly(model, plain).zero_grad()
        outputs = model(images, SIZE)
        torch.stack([value.square().mean() for value in outputs.values()]).sum().backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        found[plain] = {name: value.detach() for name, value in outputs.items()} | gradients
    return found


def assert_alike(found: dict[bool, dict[str, Tensor]]) -> None:
    assert found[True].keys() == found[False].keys()
    for key, wanted in found[True].items():
        torch.testing.assert_close(found[False][key], wanted, rtol=1e-8, atol=1e-12, msg=key)


@pytest.mark.parametrize("of", ["attention", "mlp"])
@pytest.mark.parametrize("where", ["before", "after", "parallel"])
def test_a_module_sees_whole_maps_of_all_tasks(where: str, of: str) -> None:
    chosen = [site for site in SITES if (site.where, site.of) == (where, of) and site.block != 1]
    model, modules = model_of(TaskFold(3), chosen)
    found = paths(model)
    assert_alike(found)
    assert all(module.seen == {(4, 4, 8)} for module in modules)
    outputs = [found[False][task][:, :1] for task in CHANNELS]
    assert not torch.allclose(outputs[0], outputs[1])


def test_nothing_inserted_changes_nothing() -> None:
    torch.manual_seed(0)
    model = MSam(TINY, {"first": 2}).double()
    images = torch.rand(1, 3, *SIZE, dtype=torch.float64)
    before = model(images, SIZE)["first"]
    for site in SITES:
        module = nn.Identity() if site.where != "parallel" else nn.Threshold(torch.inf, 0.0)
        TINY.insert(model.image_encoder, site, module)
    torch.testing.assert_close(model(images, SIZE)["first"], before, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("stream", [False, True])
def test_tasks_may_differ_from_a_later_block_on(stream: bool) -> None:
    fold = TaskFold(3, first_block=2, free_stream=stream)
    model, _ = model_of(fold, [Site(2, "after", "mlp")])
    counts: list[int] = []
    blocks = model.image_encoder.get_submodule("blocks")
    for block in blocks.children():
        block.get_submodule("norm2").register_forward_hook(lambda _, given, __: counts.append(len(given[0])))
    assert_alike(paths(model))
    counts.clear()
    model(torch.rand(2, 3, *SIZE, dtype=torch.float64), SIZE)
    assert counts == [2, 2, 2 * (3 + stream)]  # two images; behind it, of each task, and of none


def test_a_layer_before_that_block_may_not_be_adapted(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(encoder: nn.Module, num_tasks: int, params: dict[str, Value]) -> None:
        adapt_tucker(encoder, num_tasks, params)
        encoder.task_fold.first_block = 1  # type: ignore[union-attr]

    method = replace(METHODS.get("ta-lora"), parametrisation="late:adapt")
    monkeypatch.setitem(sys.modules, "late", SimpleNamespace(adapt=late))
    with pytest.raises(SpecError, match=r"differ from block 1 on, but adapts 'blocks.0.attn.qkv'"):
        adapt(MSam(TINY, CHANNELS), method, method.params({"ranks": (2, 2, 2)}))
