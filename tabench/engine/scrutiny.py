"""What a method's model must show before its training is believed: in its first step, and when it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

import torch
from torch import Tensor

from tabench.data.loading import Batch, evaluation_batches
from tabench.encoders.msam import MSam
from tabench.engine.checkpoint import fill
from tabench.engine.context import TrainContext
from tabench.engine.snapshot import Snapshot, trained_parameters, untrained
from tabench.errors import SpecError
from tabench.text import few

_APART: Final = 1e-5  # of an output's largest value: more than rounding


def check_alike(before: Snapshot, context: TrainContext) -> None:
    """Refuse processes that built different models of one cell.

    Raises:
        SpecError: They did.
    """
    if len(set(context.group.exchange(before.total))) > 1:
        raise SpecError(
            "the processes of this cell have built different models",
            hint="the method must draw its values from torch's own generator, which they all have alike",
        )


def check_first_step(model: MSam, context: TrainContext, batch: Batch, before: Snapshot) -> None:
    """Look at the gradients of a process' first step, and at what it changed by itself since `before`.

    Raises:
        SpecError: A trained parameter has no gradient and the method does not call it idle, or the other way
            round; or forward passes change the model (as BatchNorm's do) and the step was cut into several.
    """
    trained = trained_parameters(model)
    without = {name for name, parameter in trained.items() if parameter.grad is None}
    if dead := [name for name in trained if name in without - model.idle]:
        raise SpecError(
            f"no gradient reaches {len(dead)} trained parameters, which would never change: {_few(dead)}",
            hint="use them in the forward pass, freeze them, or name them in the method's `idle`",
        )
    if alive := [name for name in trained if name in model.idle - without]:
        raise SpecError(
            f"the method calls {len(alive)} parameters idle that get a gradient: {_few(alive)}",
            hint="take them out of its `idle`",
        )
    # Every process must know what any of them saw: a share without images ran no forward pass at all.
    told = context.group.exchange(sorted(before.moved(model)))
    changed = sorted({name for names in told for name in names})
    context.whole = bool(changed)
    if changed and (cut := _cut(model, context, batch)):
        raise SpecError(
            f"a forward pass in training changes the model ({_few(changed)}), so that a step which is cut "
            f"({cut}) has another result",
            hint=f"run it with --micro-batch {batch.effective} and --processes 1, without --tasks-apart and "
            "--recompute",
        )


def check_trained(model: MSam, trained: Mapping[str, Tensor]) -> None:
    """Refuse a model whose trained parameters are not those that the optimiser got when training began.

    Raises:
        SpecError: One has come since (made in a forward pass), another took its place, or one is frozen now.
    """
    now = trained_parameters(model)
    if odd := [name for name in {**trained, **now} if trained.get(name) is not now.get(name)]:
        raise SpecError(
            f"{len(odd)} trained parameters are not those that the optimiser got, but came, went or were "
            f"replaced in training: {_few(odd)}",
            hint="make all parameters, and say what is trained, when the method changes the encoder",
        )


def check_kept(model: MSam, context: TrainContext, kept: Mapping[str, Tensor]) -> None:
    """Build a model again, fill in what is kept, and compare what both make of an image.

    Raises:
        SpecError: They differ: something else decides the output, and would be lost. Or the output is drawn
            at random.
    """
    if context.rebuild is None:
        return
    again = context.rebuild().to(context.device)
    again.instead, again.compiled = model.instead, model.compiled  # the same path, whose rounding is the same
    fill(trained_parameters(again), kept, context.unit.name, untrained(again))
    image = next(iter(evaluation_batches(context.evaluated, 1))).image.to(context.device)
    outputs = []
    for seed, one in enumerate((model, again)):
        training = one.training
        one.eval()
        torch.manual_seed(seed)  # what is drawn in evaluation would be another result each time
        with torch.inference_mode():
            outputs.append(one(image, (int(image.shape[-2]), int(image.shape[-1]))))
        one.train(training)
    for task, value in outputs[0].items():
        apart = float((outputs[1][task] - value).abs().max() / value.abs().max().clamp_min(1e-30))
        if not apart <= _APART:  # so written, NaN is refused too
            raise SpecError(
                "the values that can be kept do not give the trained model back: "
                f"'{task}' is {apart:.2g} of its largest value apart",
                hint="what decides the output must stand in parameters or registered buffers of the encoder, "
                "and nothing may be drawn at random in evaluation",
            )


def _cut(model: MSam, context: TrainContext, batch: Batch) -> str:
    passes = context.passes
    found = {
        f"{context.group.size} processes": context.group.size > 1,
        f"{passes.images} images a pass": 0 < passes.images < batch.effective,
        "one task after the other": passes.apart and model.task_aware and len(context.unit.tasks) > 1,
        "the losses measured by passes of their own": context.balance is not None
        and bool({"losses", "losses-after"} & set(context.balance.asks)),
        "computed again in the backward pass": passes.recompute,
    }
    return ", ".join(words for words, true in found.items() if true)


def _few(names: Iterable[str]) -> str:
    return few((f"'{name}'" for name in names), 4)
