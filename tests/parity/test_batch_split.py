"""A step cut into smaller passes against the step in one piece, in double precision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from plain_msam import randomise
from tiny_run import gradients_of, in_double, make_cell, make_context, make_unit

from tabench.data.loading import Batch, evaluation_batches
from tabench.encoders.msam import MSam
from tabench.engine import gradients
from tabench.engine.balance import build_balance
from tabench.engine.batch_split import BatchSplit, choose_batch_split, out_of_memory
from tabench.engine.context import TrainContext
from tabench.engine.gradients import accumulate, step_gradient
from tabench.events import Event, MemoryShort
from tabench.worlds.scenes import SCENES

pytestmark = pytest.mark.usefixtures("entries_of_tests")
METHODS = ["frozen", "full-hps", "lora-hps", "ta-lora", "ta-lora-cp"]
BALANCED = [
    ("lora-hps", "by-loss"),
    ("ta-lora", "by-loss"),
    ("full-hps", "projecting"),
    ("ta-lora", "projecting"),
]
SMALLER = [
    BatchSplit(images=1),
    BatchSplit(apart=True),
    BatchSplit(recompute=True),
    BatchSplit(images=1, apart=True, recompute=True),
]


def prepared(
    method: str, weights: dict[str, torch.Tensor], root: Path, **params: object
) -> tuple[MSam, TrainContext, Batch]:
    """A model with nothing at its initial value, and a batch of two images, in double precision."""
    given = {} if method in ("frozen", "full-hps") else {"params__dropout": 0.0}
    cell = make_cell(method, **given, **params)
    unit, model = make_unit(cell, weights)
    model.double()
    randomise(model.image_encoder)
    randomise(model.no_mask)  # as long as a task's channels are equal, hardly a gradient reaches the encoder
    model.train()
    context = make_context(cell, unit, SCENES, root)
    context.balance = build_balance(model, context)
    return model, context, in_double(next(iter(evaluation_batches(context.train, 2))))


def gradient(model: MSam, context: TrainContext, batch: Batch, passes: BatchSplit) -> dict[str, torch.Tensor]:
    terms = step_gradient(model, replace(context, passes=passes), batch, 0)
    found = gradients_of(model)
    if context.balance is not None:
        found |= {name: p.grad.clone() for name, p in context.balance.parameters.items()}
    return {**found, "loss": torch.tensor(terms["loss"], dtype=torch.float64)}


@pytest.mark.parametrize(
    ("method", "balancing"),
    [(method, "equal") for method in METHODS] + BALANCED,
    ids=lambda name: "" if name == "equal" else name,
)
def test_smaller_passes_give_the_same_gradient(
    method: str, balancing: str, weights: dict[str, torch.Tensor], root: Path
) -> None:
    model, context, batch = prepared(method, weights, root, balancing__name=balancing)
    whole = gradient(model, context, batch, BatchSplit())
    largest = max(float(value.abs().max()) for value in whole.values())
    for passes in SMALLER:
        cut = gradient(model, context, batch, passes)
        assert whole.keys() == cut.keys(), passes
        for name, expected in whole.items():
            torch.testing.assert_close(
                cut[name], expected, rtol=1e-8, atol=1e-10 * largest, msg=f"{name} by {passes}"
            )


def test_recomputed_blocks_draw_the_same_dropout(weights: dict[str, torch.Tensor], root: Path) -> None:
    model, context, batch = prepared("ta-lora", weights, root)
    for block in model.image_encoder.blocks:
        block.attn.qkv.dropout.p = 0.3
    found = []
    for recompute in (False, True):
        found.append(gradient(model, context, batch, BatchSplit(recompute=recompute)))
    for name, expected in found[0].items():
        torch.testing.assert_close(found[1][name], expected, rtol=1e-6, atol=1e-8, msg=name)


@pytest.mark.parametrize("balancing", ["equal", "by-loss", "projecting"])
def test_memory_that_runs_out_makes_the_passes_smaller_and_the_step_is_the_same(
    balancing: str, weights: dict[str, torch.Tensor], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, context, batch = prepared("ta-lora", weights, root, balancing__name=balancing)
    events: list[Event] = []
    context.emit = events.append
    context.passes = BatchSplit()
    whole = step_gradient(model, context, batch, 3)
    expected = gradients_of(model)

    def only_smallest(*args: object) -> dict[str, float]:
        found = accumulate(*args)  # type: ignore[arg-type]
        if not context.passes.recompute:
            raise torch.OutOfMemoryError("no memory left")  # after some gradients were made
        return found

    monkeypatch.setattr(gradients, "accumulate", only_smallest)
    terms = step_gradient(model, context, batch, 3)
    steps = [(e.images, e.apart, e.recompute) for e in events if isinstance(e, MemoryShort)]
    assert steps == [(1, False, False), (1, True, False), (1, True, True)]
    assert terms["loss"] == pytest.approx(whole["loss"], rel=1e-9)
    largest = max(float(value.abs().max()) for value in expected.values())
    for name, parameter in model.named_parameters():
        if name in expected:
            torch.testing.assert_close(parameter.grad, expected[name], rtol=1e-8, atol=1e-10 * largest)


def test_at_the_bottom_the_error_comes_through(
    weights: dict[str, torch.Tensor], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, context, batch = prepared("frozen", weights, root)

    def never(*_: object) -> dict[str, float]:
        raise torch.OutOfMemoryError("no memory left")

    monkeypatch.setattr(gradients, "accumulate", never)
    with pytest.raises(torch.OutOfMemoryError):
        step_gradient(model, context, batch, 0)


def test_other_errors_are_not_taken_for_memory() -> None:
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1"))
    assert not out_of_memory(RuntimeError("shape '[3, -1]' is invalid"))


def test_large_inputs_run_one_image_and_one_task_at_a_time() -> None:
    cell = make_cell("ta-lora")
    assert choose_batch_split(cell, BatchSplit()) == BatchSplit(images=2, evaluated=2)
    large = cell.model_copy(update={"backbone": cell.backbone.model_copy(update={"name": "vit_b"})})
    assert choose_batch_split(large, BatchSplit()) == BatchSplit(images=1, evaluated=1, apart=True)
    assert choose_batch_split(large, BatchSplit(images=9)).images == cell.train.batch_size
