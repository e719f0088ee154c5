"""The training loop of one unit, top to bottom.

An optimiser step sees `batch_size` images. Each task's loss is taken per image and averaged over the
images, as with the recipe's 4 processes of batch 1; how many images share a forward pass
(`micro_batch`) changes memory, not the meaning. The regulariser enters once a step.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tabench.data.base import Split
from tabench.data.loading import Batch, batches
from tabench.engine.checkpoint import Keeper, Named
from tabench.engine.evaluate import curve_entries, evaluate, validation_loss
from tabench.engine.optim import build_optimizer, lr_factor, set_lr, steps_per_epoch, total_steps
from tabench.engine.state import State
from tabench.engine.unit import Unit, derive_seed
from tabench.errors import DivergedError, InterruptedRunError
from tabench.methods.regulariser import regulariser
from tabench.sam.msam import MSam
from tabench.spec.cell import Cell
from tabench.tasks.base import Task

EPOCH_SECONDS = 5.0  # least time since the last checkpoint for one at the end of an epoch
PREFETCH = 2  # batches read ahead


def _silent(event: str, facts: Mapping[str, Any]) -> None:
    """Tell nobody."""


@dataclass
class Setting:
    """What a unit is trained with.

    Attributes:
        cell: The recipe.
        unit: Which tasks, with which weights.
        tasks: The task objects by name.
        train: Split trained on.
        evaluated: Split reported on, for the curves.
        validation: Split that picks the best epoch; None with selection "last".
        device: Where the model is.
        micro_batch: Images per forward pass; 0 = the whole batch.
        eval_batch: Images per forward pass in evaluations.
        checkpoint_seconds: Time between two checkpoints inside an epoch.
        emit: Told of every event (name, facts).
        should_stop: Asked after every step; True ends the run at a checkpoint.
    """

    cell: Cell
    unit: Unit
    tasks: Mapping[str, Task]
    train: Split
    evaluated: Split
    validation: Split | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    micro_batch: int = 0
    eval_batch: int = 1
    checkpoint_seconds: float = 60.0
    emit: Callable[[str, Mapping[str, Any]], None] = _silent
    should_stop: Callable[[], bool] = lambda: False


def train_unit(model: MSam, setting: Setting, keeper: Keeper) -> State:
    """Train a unit to its end, from its newest checkpoint if there is one.

    Raises:
        DivergedError: A loss or a weight is not finite; names the step and the images.
        InterruptedRunError: `should_stop` said so; a checkpoint has been written.
    """
    recipe, unit, emit = setting.cell.train, setting.unit, setting.emit
    trained = trained_parameters(model)
    encoder_lr = float(setting.cell.method.params.get("encoder_lr", 1.0))  # type: ignore[arg-type]
    optimizer = build_optimizer(trained, recipe, encoder_lr)
    state = keeper.load(trained, optimizer) or State()
    if state.step:
        emit("resume", {"unit": unit.name, "step": state.step})
    per_epoch = steps_per_epoch(recipe, len(setting.train))
    total = total_steps(recipe, len(setting.train))
    saved = started = time.monotonic()
    resumed_at = state.step

    while state.step < total:
        epoch = state.step // per_epoch
        model.train()
        rest = batches(
            setting.train,
            seed=setting.cell.seed,
            epoch=epoch,
            batch_size=recipe.batch_size,
            augment=recipe.augment,
            start=state.step % per_epoch,
            prefetch=PREFETCH,
        )
        for batch in rest:
            lr = recipe.lr * lr_factor(state.step, total, recipe.warmup)
            set_lr(optimizer, lr)
            torch.manual_seed(derive_seed(unit.seed, "dropout", state.step))
            optimizer.zero_grad(set_to_none=True)
            terms = accumulate(model, setting, batch, state.step)
            optimizer.step()
            state.step += 1
            state.add(terms)
            pace = (time.monotonic() - started) / (state.step - resumed_at)
            emit(
                "step",
                {
                    "unit": unit.name,
                    "epoch": epoch + 1,
                    "epochs": math.ceil(total / per_epoch),
                    "step": state.step,
                    "steps": total,
                    "loss": terms["loss"],
                    "seconds_left": pace * (total - state.step),
                },
            )
            if state.step == total or state.step % per_epoch == 0:
                emit("epoch", state.close_epoch(unit.name, epoch + 1, lr))
                _end_of_epoch(model, setting, state, epoch + 1, last=state.step == total)
                model.train()
            if state.step == total:
                break
            stopping = setting.should_stop()
            wait = setting.checkpoint_seconds
            if state.step % per_epoch == 0:  # a cheaper place to resume from
                wait = min(wait, EPOCH_SECONDS)
            if stopping or time.monotonic() - saved >= wait:
                keeper.save(trained, optimizer, state)
                saved = time.monotonic()
                emit("checkpoint", {"unit": unit.name, "step": state.step})
            if stopping:
                raise InterruptedRunError(
                    f"stopped at step {state.step} of {total} of '{unit.name}', checkpoint written",
                    hint="run the same command again to resume",
                )

    if not state.finished:
        _check_weights(trained, state.step)
        state.finished = True
        keeper.save(trained, optimizer, state)
        emit("checkpoint", {"unit": unit.name, "step": state.step, "finished": True})
    return state


def trained_parameters(model: MSam) -> Named:
    """Parameters that the optimiser updates, by name, in the model's order."""
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def accumulate(model: MSam, setting: Setting, batch: Batch, step: int) -> dict[str, float]:
    """Add the gradient of one effective batch, micro-batch by micro-batch.

    Returns:
        The total loss ("loss"), the mean loss of each task, and "regulariser" if the method has one
        (before its weight).

    Raises:
        DivergedError: A loss is not finite.
    """
    count = len(batch.ids)
    size = setting.micro_batch or count
    terms = dict.fromkeys(setting.unit.tasks, 0.0)
    for first in range(0, count, size):
        part = slice(first, first + size)
        targets = {kind: target[part] for kind, target in batch.targets.items()}
        losses = image_losses(model, setting, batch.image[part], targets)
        total = (
            torch.stack([setting.unit.weights[t] * loss.sum() for t, loss in losses.items()]).sum() / count
        )
        _check_loss(total, step, batch.ids[part])
        total.backward()
        for task, loss in losses.items():
            terms[task] += float(loss.detach().sum()) / count
    terms["loss"] = sum(setting.unit.weights[task] * terms[task] for task in setting.unit.tasks)
    weight = float(setting.cell.method.params.get("orthogonality", 0.0))  # type: ignore[arg-type]
    if weight:
        penalty = regulariser(model)
        _check_loss(penalty, step, batch.ids)
        if penalty.requires_grad:
            (weight * penalty).backward()
        terms["regulariser"] = float(penalty.detach())
        terms["loss"] += weight * terms["regulariser"]
    return terms


def image_losses(
    model: MSam, setting: Setting, images: Tensor, targets: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Loss of every task on every image, (B,) each, in fp32 whatever the autocast."""
    device, bf16 = setting.device, setting.cell.train.precision == "bf16"
    height, width = images.shape[-2:]
    with torch.autocast(device.type, torch.bfloat16, enabled=bf16):
        outputs = model(images.to(device, non_blocking=True), (height, width))
    found: dict[str, Tensor] = {}
    for name in setting.unit.tasks:
        task, raw = setting.tasks[name], outputs[name].float()
        target = targets[task.needs].to(device, non_blocking=True)
        one_by_one = zip(raw.split(1), target.split(1), strict=True)
        found[name] = torch.stack([task.loss(r, t) for r, t in one_by_one])
    return found


def _end_of_epoch(model: MSam, setting: Setting, state: State, epoch: int, *, last: bool) -> None:
    """Evaluate for the curves and keep the best weights, where the cell asks for it."""
    part = setting.cell.evaluation
    due = bool(part.every) and epoch % part.every == 0
    best_val = setting.validation is not None
    if due and not (last and not best_val):  # the last epoch's values come from the final evaluation
        started = time.monotonic()
        found = evaluate(
            model,
            setting.unit,
            setting.tasks,
            setting.evaluated,
            setting.device,
            batch_size=setting.eval_batch,
        )
        entries = curve_entries(found, epoch)
        state.eval_curve.extend(entries)
        seconds = time.monotonic() - started
        setting.emit(
            "eval", {"unit": setting.unit.name, "epoch": epoch, "seconds": seconds, "values": entries}
        )
    if setting.validation is not None and (due or last or not part.every):
        loss = validation_loss(model, setting.unit, setting.validation, partial(image_losses, model, setting))
        setting.emit("validation", {"unit": setting.unit.name, "epoch": epoch, "loss": loss})
        if not state.best_epoch or loss < state.best_loss:
            state.best_epoch, state.best_loss = epoch, loss
            state.best_weights = {n: p.detach().clone() for n, p in trained_parameters(model).items()}


def _check_loss(loss: Tensor, step: int, ids: Sequence[str]) -> None:
    if not torch.isfinite(loss):
        raise DivergedError(
            f"the loss is {float(loss.detach())} at step {step} (images {', '.join(ids)})",
            step=step,
            ids=ids,
            hint="lower train.lr, or check these images with `tabench data verify`",
        )


def _check_weights(trained: Named, step: int) -> None:
    for name, parameter in trained.items():
        if not torch.isfinite(parameter).all():
            raise DivergedError(
                f"the weights of '{name}' are not finite after the last step {step}",
                step=step,
                hint="lower train.lr",
            )
