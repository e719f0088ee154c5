"""The training loop of one unit, top to bottom; what a step's gradient is stands in `gradients`."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from functools import partial

import torch
from torch import Tensor

from tabench.data.loading import batches
from tabench.encoders.msam import MSam
from tabench.engine.balance import beside, build_balance, restore
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.context import TrainContext
from tabench.engine.evaluate import curve_entries, evaluate, validation_loss
from tabench.engine.gradients import after_step, image_losses, step_gradient
from tabench.engine.optim import build_optimizer, lr_factor, set_lr
from tabench.engine.scrutiny import check_alike, check_first_step, check_kept, check_trained
from tabench.engine.snapshot import Snapshot, kept_untrained, trained_parameters, untrained
from tabench.engine.state import State
from tabench.errors import CheckpointError, DivergedError, InterruptedRunError
from tabench.events import CheckpointKept, Epoch, Evaluated, FirstStep, PathTaken, Resumed, Step, Validated

EPOCH_SECONDS = 5.0  # least time since the last checkpoint for one at the end of an epoch
PREFETCH = 2  # batches read ahead


def train_unit(model: MSam, context: TrainContext, checkpoints: CheckpointStore) -> State:
    """Train a unit to its end, from its newest checkpoint if there is one.

    Several processes (`context.group`) take every step together, each with its share of the batch's images;
    their weights stay equal to the last bit.

    Raises:
        DivergedError: A loss or a weight is not finite; names the step and the images.
        InterruptedRunError: `should_stop` said so; a checkpoint has been written.
    """
    recipe, unit, emit, group = context.cell.train, context.unit, context.emit, context.group
    trained = trained_parameters(model)
    # Before the checkpoint is loaded: what it brings must count as changed since the model was built.
    origin = context.origin = context.origin or Snapshot(model)
    optimizer = build_optimizer(trained, recipe, model.encoder_rate)
    balance = context.balance = build_balance(model, context)
    own = balance.parameters if balance is not None else {}
    if balance is not None:
        balance.add_to(optimizer)
    state = checkpoints.load(trained, optimizer, untrained(model), own) or State()
    # A file system that is shared may show a new checkpoint to one host before another.
    _check_alike(group.exchange(state.step), checkpoints)
    if state.step and not state.finished:  # kept weights that are evaluated again come without
        restore(state.extra, model.hooks, balance, str(checkpoints.folder))
    if state.step:
        emit(Resumed(unit=unit.name, step=state.step))
    per_epoch, total = context.epoch_steps, context.steps
    exact = recipe.warmup_length == "exact"
    saved = started = time.monotonic()
    resumed_at = state.step
    checked = False

    while state.step < total:
        epoch = state.step // per_epoch
        model.train()
        rest = batches(
            context.train,
            seed=context.cell.seed,
            epoch=epoch,
            batch_size=recipe.batch_size,
            augment=recipe.augment,
            filled=recipe.last_batch == "filled",
            start=state.step % per_epoch,
            prefetch=PREFETCH,
            device=context.device,
            kinds={context.tasks[task].needs for task in unit.tasks},
            share=(group.rank, group.size),
        )
        for batch in rest:
            lr = recipe.lr * lr_factor(state.step, total, recipe.warmup, exact=exact)
            set_lr(optimizer, lr)
            before = Snapshot(model) if state.step == resumed_at else None
            if before is not None:
                check_alike(before, context)
            terms = step_gradient(model, context, batch, state.step)
            # Gradients are there and no weight has moved yet: what differs from `before` did a forward pass.
            if before is not None:
                check_trained(model, trained)
                check_first_step(model, context, batch, before)
            optimizer.step()
            after_step(model, context, batch, state.step)
            state.step += 1
            state.add(terms)
            if state.step == resumed_at + 1:  # the one that warms up, or compiles
                emit(FirstStep(unit=unit.name, seconds=round(time.monotonic() - started, 3)))
                emit(PathTaken(unit=unit.name, **model.ways()))
            # The clock covers this attempt alone, and so must the steps.
            pace = (time.monotonic() - started) / (state.step - resumed_at)
            emit(
                Step(
                    unit=unit.name,
                    epoch=epoch + 1,
                    epochs=math.ceil(total / per_epoch),
                    step=state.step,
                    steps=total,
                    loss=terms["loss"],
                    seconds_left=pace * (total - state.step),
                )
            )
            if state.step == total or state.step % per_epoch == 0:
                emit(Epoch(**state.close_epoch(unit.name, epoch + 1, lr)))
                _end_of_epoch(model, context, state, epoch + 1, last=state.step == total)
                model.train()  # evaluations leave it in evaluation mode
            if state.step == total:
                break
            # Asked after the step, whose meetings have told every process of a stop that any of them heard.
            stopping = group.stopping(context.should_stop)
            wait = context.checkpoint_seconds
            if state.step % per_epoch == 0:  # a cheaper place to resume from
                wait = min(wait, EPOCH_SECONDS)
            if stopping or time.monotonic() - saved >= wait:
                moved = kept_untrained(model, origin)
                check_trained(model, trained)
                # It costs building the model anew, and what it would find is there from the first step on.
                if not checked:
                    check_kept(model, context, {**trained, **moved})
                    checked = True
                state.extra = beside(model.hooks, balance)
                checkpoints.save(trained, optimizer, state, moved, own)
                saved = time.monotonic()
                emit(CheckpointKept(unit=unit.name, step=state.step))
            if stopping:
                raise InterruptedRunError(
                    f"stopped at step {state.step} of {total} of '{unit.name}', checkpoint written",
                    hint="run the same command again to resume",
                )

    if not state.finished:
        moved = kept_untrained(model, origin)
        check_trained(model, trained)
        _check_weights(trained, moved, state.step)
        check_kept(model, context, {**trained, **moved})
        state.finished, state.extra = True, beside(model.hooks, balance)
        checkpoints.save(trained, optimizer, state, moved, own)
        emit(CheckpointKept(unit=unit.name, step=state.step, finished=True))
    return state


def _end_of_epoch(model: MSam, context: TrainContext, state: State, epoch: int, *, last: bool) -> None:
    """Evaluate for the curves and keep the best weights, where the cell asks for it."""
    part = context.cell.evaluation
    due = bool(part.every) and epoch % part.every == 0
    best_val = context.validation is not None
    if due and not (last and not best_val):  # the last epoch's values come from the final evaluation
        started = time.monotonic()
        entries = curve_entries(evaluate(model, context), epoch)
        state.eval_curve.extend(entries)
        seconds = time.monotonic() - started
        context.emit(Evaluated(unit=context.unit.name, epoch=epoch, seconds=seconds, values=entries))
    if context.validation is not None and (due or last or not part.every):
        loss = validation_loss(model, context, context.validation, partial(image_losses, model, context))
        context.emit(Validated(unit=context.unit.name, epoch=epoch, loss=loss))
        if not state.best_epoch or loss < state.best_loss:
            state.best_epoch, state.best_loss = epoch, loss
            assert context.origin is not None
            values = {**trained_parameters(model), **kept_untrained(model, context.origin)}
            # Cloned, since the optimiser goes on to write into the same memory.
            state.best_weights = {name: value.detach().clone() for name, value in values.items()}


def _check_alike(steps: list[int], checkpoints: CheckpointStore) -> None:
    """Refuse to train on where the processes found different checkpoints."""
    if len(set(steps)) > 1:
        raise CheckpointError(
            f"the processes of this cell found checkpoints of different steps: {steps}",
            where=str(checkpoints.folder),
            hint="give the same command again; the folder must look the same to all of them",
        )


def _check_weights(trained: Mapping[str, Tensor], moved: Mapping[str, Tensor], step: int) -> None:
    for name, value in {**trained, **moved}.items():
        if not torch.isfinite(value).all() if name in trained else torch.isnan(value).any():
            raise DivergedError(
                f"the weights of '{name}' are not finite after the last step {step}",
                step=step,
                hint="lower train.lr",
            )
