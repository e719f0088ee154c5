"""What a device can train: how far bf16 and TF32 move the losses, and how many images fit in a step."""

from __future__ import annotations

import gc
import time
from dataclasses import replace
from functools import partial
from typing import Any, Literal

import torch

from tabench.bench.jobs import Job, Place, loss_steps
from tabench.bench.subject import Subject
from tabench.bench.timing import peak_of, synchronise, within_memory
from tabench.data.loading import evaluation_batches
from tabench.encoders.plain import Way
from tabench.engine.gradients import step_gradient
from tabench.engine.optim import lr_factor, set_lr
from tabench.spec.cell import TrainPart
from tabench.store.encoding import significant

IMAGES = 8  # that the losses' steps go through, again and again
MARKS = (1, 10, 50, 200)  # steps up to which curves are compared
Precision = Literal["fp32", "bf16"]
CURVES: dict[str, tuple[Precision, bool, int]] = {  # name to precision, whether TF32 is on, seed of dropout
    "fp32": ("fp32", False, 0),
    "TF32": ("fp32", True, 0),
    "bf16": ("bf16", False, 0),
    "fp32, other dropout": ("fp32", False, 1),
}


def compare_losses(job: Job, place: Place) -> dict[str, Any]:
    """Train the fast path from the same weights on the same images in each precision, with the recipe's rate.

    Returns "weights", "steps", "last" (each curve's last loss), and "apart": by curve, up to each of `MARKS`,
    the largest relative difference of a step's loss from that of fp32. Rounding grows along a training run;
    two dropout seeds are what the others are to be held against.
    """
    steps = loss_steps(place)
    curves, weights = {}, ""
    for name, (precision, tf32, seed) in CURVES.items():
        subject = Subject(replace(job, precision=precision), place, images=IMAGES)
        torch.set_float32_matmul_precision("high" if tf32 else "highest")
        torch.backends.cudnn.allow_tf32 = tf32
        try:
            curves[name] = _losses(subject, steps, seed)
        finally:
            torch.set_float32_matmul_precision("highest")
            torch.backends.cudnn.allow_tf32 = False
        weights = subject.weights
    first = curves["fp32"]
    marks = [mark for mark in MARKS if mark < steps] + [steps]
    return {
        "weights": weights,
        "steps": steps,
        "last": {name: significant(curve[-1], 6) for name, curve in curves.items()},
        "apart": {
            name: {str(mark): _largest(first[:mark], curve[:mark]) for mark in marks}
            for name, curve in curves.items()
            if name != "fp32"
        },
    }


def _losses(subject: Subject, steps: int, seed: int) -> list[float]:
    """The tasks' weighted loss at each step; the regulariser is larger and would hide it."""
    subject.take("fast")
    (part,) = subject.parts
    context = replace(part.context, unit=replace(part.context.unit, seed=part.context.unit.seed + seed))
    batches = list(evaluation_batches(context.train, subject.job.batch))
    recipe, unit = TrainPart(), context.unit
    part.model.train()
    found = []
    for step in range(steps):
        set_lr(part.optimizer, recipe.lr * lr_factor(step, steps, recipe.warmup))
        terms = step_gradient(part.model, context, batches[step % len(batches)], step)
        part.optimizer.step()
        found.append(sum(unit.weights[task] * terms[task] for task in unit.tasks))
    return found


def _largest(first: list[float], other: list[float]) -> float:
    return significant(max(abs(b - a) / abs(a) for a, b in zip(first, other, strict=True)), 3)


def find_largest(job: Job, place: Place) -> dict[str, Any]:
    """The most images of one training step, up to the job's own, whose activations the device has memory for.

    Returns "most" (that were tried) and by path "images" (0: not even one), and with them, where
    there is one, "images_per_s" and "peak_mb".
    """
    device = torch.device(place.device)
    found: dict[str, Any] = {"most": job.batch}
    ways: tuple[Way, ...] = ("plain", "fast")
    for way in ways:
        fits, best = 0, {}
        fails = job.batch + 1  # images
        trial = 1
        while fails - fits > 1:
            figures: dict[str, Any] = {}
            if within_memory(partial(_try, replace(job, batch=trial), place, way, figures)):
                fits, best = trial, figures
            else:
                fails = trial
            gc.collect()  # models of two numbers of images are never there at once
            if device.type == "cuda":
                torch.cuda.empty_cache()
            # doubled until it fails, then halved in between
            trial = min(2 * fits, job.batch) if fails > job.batch else (fits + fails) // 2
        found[way] = {"images": fits, **best}
    return found


def _try(job: Job, place: Place, way: Way, found: dict[str, Any]) -> None:
    subject = Subject(job, place)
    step = partial(subject.train, way)
    step()  # Adam's moments are there from now on
    peak = peak_of(step, subject.device)
    synchronise(subject.device)
    started = time.perf_counter()
    step()
    synchronise(subject.device)
    pace = job.batch / (time.perf_counter() - started)
    found |= {"images_per_s": significant(pace, 4), "peak_mb": peak["peak_mb"]}
