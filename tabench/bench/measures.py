"""What a job measures, part by part: the two paths, inference, the harness."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from tabench.bench.counting import agreement, counted
from tabench.bench.jobs import HARNESS_STEPS, Job, Place
from tabench.bench.subject import Subject, plain_loss
from tabench.bench.timing import Work, kept_peak, measured, ratio, within_memory
from tabench.data.loading import evaluation_batches
from tabench.encoders.plain import Way
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.loop import train_unit
from tabench.methods.merging import MergedMSam
from tabench.store.encoding import significant

WAYS: tuple[Way, ...] = ("plain", "fast")
_BY_PEAK = ("evaluate", "train")  # each peak is above the one before, so memory kept by malloc does not show


def time_paths(job: Job, place: Place) -> dict[str, Any]:
    """Time both paths alternately, after counting FLOPs (which warms up) and comparing gradients.

    Returns:
        "models", "agreement" (None where a path has no memory for it), and by work "plain" and "fast" (see
        `alternate`), "ratio" (plain over fast) and "flops" of both.
    """
    subject = Subject(job, place)
    found: dict[str, Any] = {"models": len(subject.parts)}
    for work in job.works:
        ways: dict[str, Work] = {way: partial(subject.work, work, way) for way in WAYS}
        flops = counted(ways)
        figures = measured(ways, flops, job, subject.device)
        found[work] = {**figures, "ratio": ratio(figures, "plain", "fast"), "flops": flops}
    compared: dict[str, Any] = {}
    within_memory(lambda: compared.update(agreement(subject)))
    return found | {"agreement": compared or None}


def memory_of_path(job: Job, place: Place, way: Way) -> dict[str, Any]:
    """Peak memory of one path by work, in a process of its own."""
    subject = Subject(job, place)
    chosen = [work for work in _BY_PEAK if work in job.works]
    if subject.device.type == "cuda" or "compiled" in job.passes:  # compilers and libraries take memory, once
        for work in chosen:
            within_memory(partial(subject.work, work, way))
    return {work: kept_peak(partial(subject.work, work, way), subject.device) for work in chosen}


FORMS = ("plain", "factored", "merged")


class Inference:
    """A job's models, adapted and merged, and a batch on the device.

    Args:
        job: The job.
        place: Where it runs.
        forms: Which of `FORMS` are needed; the adapted models make room for merged ones alone.
    """

    def __init__(self, job: Job, place: Place, forms: Sequence[str] = FORMS) -> None:
        self.job, self.subject = job, Subject(job, place)
        self.images = self.subject.batch.image.to(self.subject.device)
        self.merged = [MergedMSam(part.model) for part in self.subject.parts] if "merged" in forms else []
        if tuple(forms) == ("merged",):
            for part in self.subject.parts:
                del part.model, part.optimizer

    def run(self, form: str, wanted: Sequence[str]) -> dict[str, Tensor]:
        """Activated maps of the wanted tasks."""
        subject, size = self.subject, (int(self.images.shape[-2]), int(self.images.shape[-1]))
        outputs: dict[str, Tensor] = {}
        kind, bf16 = subject.device.type, self.job.precision == "bf16"
        if form != "merged":
            subject.take("plain" if form == "plain" else "fast")
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=bf16):
            for number, part in enumerate(subject.parts):
                if names := [name for name in part.context.unit.tasks if name in wanted]:
                    model = self.merged[number] if form == "merged" else part.model.eval()
                    outputs |= model(self.images, size, names)
        return {name: subject.tasks[name].activate(raw.float()) for name, raw in outputs.items()}


def time_inference(job: Job, place: Place) -> dict[str, Any]:
    """Seconds from a batch on the device to its activated maps, all forms in turn.

    Returns:
        "apart" (largest difference of merged and factored maps over the largest value), and for "one" (the
        first task) and "all" tasks each form's times and "flops".
    """
    inference = Inference(job, place)
    names = job.task_names
    factored, merged = inference.run("factored", names), inference.run("merged", names)
    apart = max(float((merged[n] - value).abs().max() / value.abs().max()) for n, value in factored.items())
    found: dict[str, Any] = {"apart": significant(apart, 3)}
    for scope, wanted in (("one", names[:1]), ("all", names)):
        ways: dict[str, Work] = {form: partial(inference.run, form, wanted) for form in FORMS}
        flops = counted(ways)
        found[scope] = {**measured(ways, flops, job, inference.subject.device), "flops": flops}
    return found


def memory_of_form(job: Job, place: Place, form: str) -> dict[str, Any]:
    """Peak memory of all tasks in one form, in a process of its own that holds no other form."""
    inference = Inference(job, place, (form,))
    return {"all": kept_peak(partial(inference.run, form, job.task_names), inference.subject.device)}


def time_harness(job: Job, place: Place) -> dict[str, Any]:
    """Time `HARNESS_STEPS` steps of both loops in turn.

    Returns:
        "steps", times of "bare" and "harness" for all steps, "overhead" (share of the bare loop's median that
        the harness takes more; negative where it took less) and "overhead_s" a step.
    """
    subject = Subject(job, place, images=HARNESS_STEPS * job.batch)
    part = subject.parts[0]
    recipe = part.context.cell.train.model_copy(update={"epochs": 1})
    context = replace(part.context, cell=part.context.cell.model_copy(update={"train": recipe}))
    ready = list(evaluation_batches(context.train, job.batch))

    def bare() -> None:
        part.model.train()
        for batch in ready:
            part.optimizer.zero_grad(set_to_none=True)
            plain_loss(part.model, context, batch)[0].backward()
            part.optimizer.step()

    def harness() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train_unit(part.model, context, CheckpointStore(Path(folder)))

    bare()
    harness()
    loops: dict[str, Work] = {"bare": bare, "harness": harness}
    figures = measured(loops, loops, job, subject.device)
    more = figures["harness"]["median_s"] - figures["bare"]["median_s"]
    return {
        "steps": len(ready),
        **figures,
        "overhead": significant(more / figures["bare"]["median_s"], 3),
        "overhead_s": significant(more / len(ready), 3),
    }


def measure(job: Job, place: Place, part: str) -> dict[str, Any]:
    """Measure a part of a job in this process."""
    if part.startswith("memory-"):
        which = part.removeprefix("memory-")
        if job.kind == "inference":
            return memory_of_form(job, place, which)
        return memory_of_path(job, place, cast(Way, which))
    times = {"paths": time_paths, "inference": time_inference, "harness": time_harness}
    return times[job.kind](job, place)
