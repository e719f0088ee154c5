"""Where tasks are balanced: what a balancer sees, what it decides, what is kept of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import balancers
import pytest
import torch
from registering import registered
from safetensors.torch import load_file, save_file
from tiny_run import Stop, gradients_of, in_double, make_cell, make_context, make_unit

from tabench.catalog import DATASETS, METHODS
from tabench.data.loading import Batch, evaluation_batches
from tabench.encoders.msam import MSam
from tabench.engine.balance import build_balance
from tabench.engine.batch_split import BatchSplit, choose_batch_split
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.context import TrainContext
from tabench.engine.gradients import after_step, step_gradient
from tabench.engine.loop import train_unit
from tabench.engine.snapshot import trained_parameters
from tabench.engine.state import State
from tabench.errors import CheckpointError, DivergedError, InterruptedRunError, SpecError
from tabench.events import Event, Validated
from tabench.methods.parameters import ROWS, owners

SCENES = DATASETS.get("scenes")
DRY = {"params__dropout": 0.0, "params__orthogonality": 0.5}
Weights = dict[str, torch.Tensor]


@pytest.fixture(scope="module", autouse=True)
def _registered() -> Iterator[None]:
    with registered():
        yield


def prepared(
    balancing: str, weights: Weights, root: Path, method: str = "ta-lora"
) -> tuple[MSam, TrainContext, Batch]:
    """A model in double precision, and a batch of two images."""
    given = {
        key: value for key, value in DRY.items() if key.partition("__")[2] in METHODS.get(method).defaults
    }
    cell = make_cell(method, balancing__name=balancing, **given)
    unit, model = make_unit(cell, weights)
    model.double().train()
    context = make_context(cell, unit, SCENES, root)
    context.balance = build_balance(model, context)
    return model, context, in_double(next(iter(evaluation_batches(context.train, 2))))


@pytest.mark.parametrize("method", ["ta-lora", "full-hps"])
def test_a_sum_by_any_way_is_what_is_done_without_a_balancer(
    method: str, weights: Weights, root: Path
) -> None:
    model, context, batch = prepared("equal", weights, root, method)
    assert context.balance is None
    terms, expected = step_gradient(model, context, batch, 0), gradients_of(model)
    model, context, batch = prepared("plain", weights, root, method)
    assert step_gradient(model, context, batch, 0) == terms
    assert all(torch.equal(value, expected[name]) for name, value in gradients_of(model).items())
    assert context.balance is not None
    context.balance.balancing = replace(balancers.PLAIN, asks=("gradients",))
    told = step_gradient(model, context, batch, 0)
    assert told == pytest.approx(terms, rel=1e-12)
    found, largest = gradients_of(model), max(float(value.abs().max()) for value in expected.values())
    assert found.keys() == expected.keys()
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-8, atol=1e-11 * largest, msg=name)


def test_a_tasks_own_parameters_have_its_own_gradient(weights: Weights, root: Path) -> None:
    model, context, batch = prepared("equal", weights, root)
    step_gradient(model, context, batch, 0)
    expected = gradients_of(model)
    model, context, batch = prepared("projecting", weights, root)
    step_gradient(model, context, batch, 0)
    owned = owners(model)
    assert set(owned.values()) == {ROWS, *context.unit.tasks}
    assert [name for name, owner in owned.items() if owner == ROWS] == [
        name for name in trained_parameters(model) if name.endswith(".U3")
    ]
    for name, value in gradients_of(model).items():
        same = torch.allclose(value, expected[name], rtol=1e-8, atol=1e-12)
        assert same or name not in owned, name
        assert not same or name in owned or not expected[name].any() or ".U" in name, name


def test_a_task_without_a_labelled_image_is_left_out(weights: Weights, root: Path) -> None:
    model, context, batch = prepared("by-loss", weights, root)
    batch.targets["label"][0] = -1
    batch.targets["normal"][:] = 0
    step_gradient(model, context, batch, 1)
    after_step(model, context, batch, 1)
    assert context.balance is not None
    own = context.balance.balancer
    assert isinstance(own, balancers.ByLoss)
    (step,) = own.seen
    assert (step.number, step.total, step.epoch, step.tasks, step.images) == (1, 4, 0, (0, 1), (1, 2))
    assert own.means[2] == 1
    assert own.logs.grad is not None
    assert own.logs.grad[2] == 0
    for target in batch.targets.values():
        target[:] = -1 if target.dtype == torch.int64 else 0
    step_gradient(model, context, batch, 2)
    after_step(model, context, batch, 2)
    assert len(own.seen) == 1
    penalised = {name for name, value in gradients_of(model).items() if value.any()}
    assert penalised
    assert all(".factors." in name for name in penalised), "only the regulariser is left"


def test_losses_after_the_step_are_those_of_the_same_images(weights: Weights, root: Path) -> None:
    model, context, batch = prepared("looking", weights, root)
    before = step_gradient(model, context, batch, 0)
    with torch.no_grad():
        for parameter in trained_parameters(model).values():
            parameter -= 1e-3 * parameter.grad if parameter.grad is not None else 0.0
    after_step(model, context, batch, 0)
    assert context.balance is not None
    assert isinstance(context.balance.balancer, balancers.Plain)
    ((told, after),) = context.balance.balancer.told
    again = step_gradient(model, context, batch, 0)
    assert after is not None
    for at, (task, weight) in enumerate(context.unit.weights.items()):
        assert float(told[at]) == pytest.approx(weight * before[task])
        assert float(after[at]) == pytest.approx(weight * again[task])
    assert not torch.equal(told, after)


def test_what_a_balancer_must_not_do_is_named(weights: Weights, root: Path) -> None:
    model, context, batch = prepared("dishonest", weights, root)
    with pytest.raises(SpecError, match="depend on losses, which it does not ask for"):
        step_gradient(model, context, batch, 0)
    model, context, batch = prepared("projecting", weights, root)
    assert context.balance is not None
    own: Any = context.balance.balancer
    own.combine = lambda gradients, losses, step: gradients[0, :-1]
    with pytest.raises(SpecError, match=r"`combine` gives"):
        step_gradient(model, context, batch, 0)
    own.combine = lambda gradients, losses, step: gradients[0] * torch.nan
    with pytest.raises(DivergedError, match="values are not finite at step 3"):
        step_gradient(model, context, batch, 3)


def test_one_task_has_nothing_to_balance_and_gradients_are_made_one_task_at_a_time(
    weights: Weights, root: Path
) -> None:
    cell = make_cell("lora-stl", balancing__name="by-loss")
    unit, model = make_unit(cell, weights)
    assert build_balance(model, make_context(cell, unit, SCENES, root)) is None
    assert choose_batch_split(make_cell("ta-lora", balancing__name="projecting"), BatchSplit()).apart


def train(weights: Weights, root: Path, folder: Path, **options: Any) -> tuple[State, Weights, TrainContext]:
    cell = make_cell("ta-lora", balancing__name="by-loss", balancing__start=0.5)
    unit, model = make_unit(cell, weights)
    context = make_context(cell, unit, SCENES, root, **options)
    state = train_unit(model, context, CheckpointStore(folder))
    return state, {name: p.detach().clone() for name, p in trained_parameters(model).items()}, context


def test_a_resumed_balancer_is_equal_bit_for_bit_and_apart_from_the_method(
    weights: Weights, root: Path, tmp_path: Path
) -> None:
    state, expected, context = train(weights, root, tmp_path / "whole")
    for stop in (1, 2):
        with pytest.raises(InterruptedRunError):
            train(weights, root, tmp_path / "parts", should_stop=Stop(stop))
    again, found, _ = train(weights, root, tmp_path / "parts")
    assert again.to_json() == state.to_json()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    kept = load_file(tmp_path / "parts" / "finished" / "extra.safetensors")
    assert kept.keys() == {"balancer.logs", "balancer.means"}
    assert all(torch.equal(value, state.extra[name]) for name, value in kept.items())
    assert (kept["balancer.logs"] != 0.5).all()
    assert not [
        name for name in load_file(tmp_path / "whole" / "finished" / "model.safetensors") if "logs" in name
    ]
    for name in ("extra.safetensors", "sums.json"):  # as where kept weights are evaluated again
        (tmp_path / "parts" / "finished" / name).unlink()
    assert train(weights, root, tmp_path / "parts")[0].finished
    assert context.balance is not None
    optimizer = torch.optim.Adam([torch.zeros(1)], lr=1.0)
    context.balance.add_to(optimizer)
    assert {k: optimizer.param_groups[1][k] for k in ("scale", "weight_decay")} == {
        "scale": 50.0,
        "weight_decay": 0.5,
    }


def test_state_of_another_balancer_is_refused(weights: Weights, root: Path, tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):
        train(weights, root, tmp_path, should_stop=Stop(1))
    (place,) = tmp_path.iterdir()
    (place / "sums.json").unlink()  # as a checkpoint of an older version
    held = load_file(place / "extra.safetensors")
    for wrong in (
        {},
        {**held, "balancer.means": held["balancer.means"][:2]},
        {**held, "balancer.logs": held["balancer.logs"] * torch.nan},
        {**held, "hooks.a": torch.ones(1)},
    ):
        save_file({name: value.contiguous() for name, value in wrong.items()}, place / "extra.safetensors")
        with pytest.raises(CheckpointError, match="what is kept beside the model does not fit"):
            train(weights, root, tmp_path)


def test_the_best_epoch_is_chosen_by_the_static_weights(weights: Weights, root: Path, tmp_path: Path) -> None:
    best = {"evaluation__selection": "best-val", "evaluation__val_split": "train-159", "train__lr": 1e-30}
    losses: dict[str, list[float]] = {}
    for name in ("equal", "by-loss"):

        def listen(event: Event, name: str = name) -> None:
            if isinstance(event, Validated):
                losses.setdefault(name, []).append(event.loss)

        cell = make_cell("frozen", balancing__name=name, **best)
        unit, model = make_unit(cell, weights)
        validation = SCENES.split(root, "train-159")
        context = make_context(cell, unit, SCENES, root, validation=validation, emit=listen)
        train_unit(model, context, CheckpointStore(tmp_path / name))
    assert losses["equal"] == pytest.approx(losses["by-loss"])
