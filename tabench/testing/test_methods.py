"""What every registered method must do, on a small model. Each test is one sentence of the contract."""

from __future__ import annotations

from collections.abc import Mapping
from typing import get_args

import pytest
import torch
from torch import Tensor

from tabench.catalog import METHODS
from tabench.encoders.plain import plainly
from tabench.encoders.sam.build import build_image_encoder
from tabench.engine.checkpoint import fill
from tabench.engine.describe import describe_model
from tabench.engine.snapshot import Snapshot, kept_untrained, trained_parameters, untrained
from tabench.errors import SpecError, TabenchError
from tabench.methods.base import Sharing, Value
from tabench.methods.merging import MergedMSam, merged_encoder
from tabench.methods.parameters import ROWS, count, groups_of, owners
from tabench.testing.models import (
    SIZE,
    TASKS,
    TINY,
    deviation,
    images,
    loss_of,
    make,
    outputs,
    rounding,
    trained,
)


def same(name: str, got: Mapping[str, Tensor], wanted: Mapping[str, Tensor], exactly: bool = True) -> None:
    """Two models give the same outputs, to the bit or up to rounding."""
    for task, value in got.items():
        limit = 0.0 if exactly else rounding(name)
        assert deviation(value, wanted[task]) <= limit, task


def test_it_is_what_its_entry_says(method: str) -> None:
    """Its name is the registered one, and its values are of the types that a recipe can hold."""
    found = METHODS.get(method)
    assert found.name == method
    assert found.title
    assert found.sharing in get_args(Sharing)
    for key, value in found.defaults.items():
        assert isinstance(value, int | float | str | bool | tuple), key
        assert found.params({key: value})[key] == value
    with pytest.raises(SpecError, match="no hyper-parameter"):
        found.params({"of nobody": 1})


def test_an_encoder_that_tells_tasks_apart_is_task_aware(method: str) -> None:
    """A method sets `encoder.task_fold` if and only if its sharing is "task-aware"."""
    assert make(method).task_aware == (METHODS.get(method).sharing == "task-aware")


def test_it_starts_as_the_unadapted_model(method: str) -> None:
    """SAM's own outputs until a step is taken, unless it says that it `starts_elsewhere`."""
    if METHODS.get(method).starts_elsewhere:
        pytest.skip("it says that it starts elsewhere")
    before, after = (outputs(make(method, adapted=adapted).double()) for adapted in (False, True))
    same(method, after, before, exactly=False)


def test_one_seed_makes_one_model(method: str) -> None:
    """The seed of torch decides all that is drawn, and a second model leaves the first as it is."""
    first = make(method).double()
    before = outputs(first)
    second = make(method).double()
    state, again = first.state_dict(), second.state_dict()
    assert state.keys() == again.keys()
    assert all(torch.equal(value, again[key]) for key, value in state.items())
    for model in (first, second):
        same(method, outputs(model), before)


def test_it_learns(method: str) -> None:
    """A small step of what it trains in the encoder makes the loss smaller."""
    model = make(method).double().train()
    chosen = trained_parameters(model.image_encoder) or trained_parameters(model)
    optimiser = torch.optim.Adam(chosen.values(), lr=1e-4)
    before = loss_of(model)
    before.backward()
    optimiser.step()
    assert loss_of(model) < before


def test_every_trained_parameter_gets_a_gradient(method: str) -> None:
    """What gets none would be reported as trained; `idle` names it, and nothing else (0 is a gradient)."""
    model = make(method).train()
    loss_of(model).backward()
    without = {name for name, parameter in trained_parameters(model).items() if parameter.grad is None}
    assert sorted(without - model.idle) == []
    assert sorted(model.idle - without) == []


def test_its_state_survives_a_round_trip(method: str) -> None:
    """All that decides the output is in the state dict: parameters and buffers, nothing beside them."""
    other = make(method, seed=1).double()
    wanted = outputs(trained(method))
    assert any(not torch.allclose(value, wanted[task]) for task, value in outputs(other).items())
    other.load_state_dict(trained(method).state_dict())
    same(method, outputs(other), wanted)


def test_what_a_run_keeps_gives_the_trained_model_back(method: str) -> None:
    """Built again from the same seed, with what is kept of it filled in."""
    again, model = make(method).double(), trained(method)
    kept = {**trained_parameters(model), **kept_untrained(model, Snapshot(again))}
    fill(trained_parameters(again), kept, method, untrained(again))
    same(method, outputs(again), outputs(model))


def test_a_merged_encoder_gives_its_output_or_is_refused(method: str) -> None:
    """SAM's plain encoder with merged weights equals the adapted one; what cannot be merged says so.

    One that says `merges` is merged.
    """
    model = trained(method)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    inputs, _ = model.prepare(images())
    stock = build_image_encoder(TINY).double().eval()
    with torch.no_grad():
        for index, (task, embedding) in enumerate(model.encode(inputs, list(model.channels)).items()):
            try:
                merged = merged_encoder(model, index)
            except TabenchError:
                assert not METHODS.get(method).merges
                break
            stock.load_state_dict(merged.state_dict())
            assert deviation(stock(inputs), embedding) < rounding(method), task
    after = model.state_dict()
    assert list(after) == list(before)
    assert all(torch.equal(value, before[key]) for key, value in after.items())


def test_a_merged_model_gives_its_outputs_or_is_refused(method: str) -> None:
    """What cannot be folded into weights stays in it where that is right, and is named where it is not."""
    model = trained(method)
    try:
        merged = MergedMSam(model)
    except SpecError:
        pytest.skip("it cannot be merged")
    same(method, merged(images(), SIZE), outputs(model), exactly=False)


def test_every_tensor_of_it_is_counted_once(method: str) -> None:
    """Each parameter and buffer has one group; what the method made is counted as adapters, all of it."""
    model = trained(method)
    groups, counts = groups_of(model), count(model)
    assert groups.keys() == {name for name, _ in (*model.named_parameters(), *model.named_buffers())}
    assert sum(counts["groups"].values()) == counts["total"] == sum(p.numel() for p in model.parameters())
    added = [p.numel() for name, p in model.named_parameters() if name in model.added]
    assert counts["groups"]["adapters"] == sum(added)
    parts = describe_model(model)["parts"]
    assert sum(parts.get("adapters", {}).values()) == sum(added)
    assert sum(part["trained"] for part in parts.values()) == counts["trained"]


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_it_trains_in_every_precision(method: str, precision: str) -> None:
    """Outputs are float32, the loss and every gradient finite; dropout is on where the method has any."""
    drops: dict[str, Value] = {"dropout": 0.5} if "dropout" in METHODS.get(method).defaults else {}
    model = make(method, params=drops).train()
    with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
        found = model(images().float(), SIZE)
        loss = torch.stack([value.square().mean() for value in found.values()]).sum()
    assert {value.dtype for value in found.values()} == {torch.float32}
    assert loss.isfinite()
    loss.backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    assert [name for name, gradient in gradients.items() if not gradient.isfinite().all()] == []


@pytest.mark.parametrize("count", [1, 2, 3])
def test_tasks_and_images_do_not_touch_one_another(method: str, count: int) -> None:
    """Some tasks, in any order, and one image alone give what all give together, for one task or several."""
    if count > 1 and METHODS.get(method).sharing == "per-task":
        pytest.skip("it trains a model a task")
    model = trained(method, count)
    names = list(model.channels)
    whole = outputs(model, 3)
    assert {task: tuple(value.shape) for task, value in whole.items()} == {
        task: (3, TASKS[task], *SIZE) for task in names
    }
    for wanted in ([names[-1]], names[::-1], names[:-1] or names):
        some = outputs(model, 1, wanted)
        assert list(some) == wanted
        for task, value in some.items():
            assert deviation(value, whole[task][:1]) < rounding(method), (wanted, task)


def test_what_it_says_is_a_tasks_own_gets_that_tasks_gradient_alone(method: str) -> None:
    """No other task's loss reaches a row of its `task_rows`, or a module with its `task_index`."""
    model = trained(method)
    for index, task in enumerate(model.channels):
        model.zero_grad()
        model(images(), SIZE)[task].square().mean().backward()
        for name, owner in owners(model).items():
            if (gradient := model.get_parameter(name).grad) is not None and owner != task:
                others = [t for t in range(len(model.channels)) if t != index]
                assert not (gradient[others] if owner == ROWS else gradient).any(), name
    model.zero_grad()


def test_the_fast_path_is_sams_own_forward(method: str) -> None:
    """Outputs and gradients are those of SAM's own modules, called task by task (`path = "plain"`)."""
    model = trained(method)
    found = {}
    for path in ("plain", "fast"):
        plainly(model, path == "plain")
        model.zero_grad()
        loss_of(model).backward()
        gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
        found[path] = outputs(model) | gradients
    model.zero_grad()
    assert found["fast"].keys() == found["plain"].keys()
    largest = max(float(value.abs().max()) for value in found["plain"].values())
    for name, wanted in found["plain"].items():
        # a gradient that is 0 in theory is rounding in both
        apart = float((found["fast"][name] - wanted).abs().max())
        assert apart <= rounding(method) * max(float(wanted.abs().max()), largest), name
