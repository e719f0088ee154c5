"""What a job measures, part by part: the two paths, inference, the harness, a profile."""

from __future__ import annotations

import os
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from tabench.bench.checks import repeat, run_demo, run_tests
from tabench.bench.counting import agreement, counted, rates
from tabench.bench.jobs import HARNESS_STEPS, Job, Kind, Place, parts_of
from tabench.bench.limits import compare_losses, find_largest
from tabench.bench.subject import Subject, kernels_of, plain_loss
from tabench.bench.timing import Work, chip_rate, kept_peak, measured, ratio, within_memory
from tabench.data.loading import evaluation_batches
from tabench.encoders.plain import Way
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.loop import train_unit
from tabench.methods.merging import MergedMSam
from tabench.store.encoding import significant

WAYS: tuple[Way, ...] = ("plain", "fast")
STEPS = ("paths", "inference", "harness", "profile")  # kinds that run as one cell does, with its kernels
_BY_PEAK = ("evaluate", "train")  # each peak is above the one before, so memory kept by malloc does not show


def time_paths(job: Job, place: Place) -> dict[str, Any]:
    """Time both paths alternately, after counting FLOPs (which warms up); then compare their gradients.

    Returns "models", "weights", "chip_flops", "agreement" (None where a path has no memory for it), and by
    work "plain" and "fast" (see `alternate`), "ratio" (plain over fast), "flops" and "rates" of both. Where
    this process measures memory, too (`parts_of`), "memory-plain" and "memory-fast" as `memory_of_path`.
    """
    subject = Subject(job, place)
    device = subject.device
    chip = chip_rate(device, job.precision)
    found: dict[str, Any] = {
        "models": len(subject.parts),
        "weights": subject.weights,
        "chip_flops": significant(chip, 4),
    }
    for work in job.works:
        ways: dict[str, Work] = {way: partial(subject.work, work, way) for way in WAYS}
        flops = counted(ways)
        figures = measured(ways, flops, job, device)
        found[work] = {
            **figures,
            "ratio": ratio(figures, "plain", "fast"),
            "flops": flops,
            "rates": rates(flops, figures, chip),
        }
    if len(parts_of(job, place)) == 1:
        found |= {f"memory-{way}": _peaks(subject, way) for way in WAYS}
    compared: dict[str, Any] = {}
    within_memory(lambda: compared.update(agreement(subject)))
    return found | {"agreement": compared or None}


def memory_of_path(job: Job, place: Place, way: Way) -> dict[str, Any]:
    """Peak memory of one path by work, in a process of its own."""
    return _peaks(Subject(job, place), way)


def _peaks(subject: Subject, way: Way) -> dict[str, Any]:
    job = subject.job
    chosen = [work for work in _BY_PEAK if work in job.works]
    if subject.device.type == "cuda" or "compiled" in job.passes:  # compilers and libraries take memory, once
        for work in chosen:
            within_memory(partial(subject.work, work, way))
    return {work: kept_peak(partial(subject.work, work, way), subject.device) for work in chosen}


FORMS = ("plain", "factored", "merged")


class Inference:
    """A job's models and a batch on the device, in the forms asked for; merged ones alone make room."""

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

    Returns "chip_flops", "apart" (largest difference of merged and factored maps over the largest value), and
    for "one" (the first task) and "all" tasks each form's times, "flops" and "images_per_s".
    """
    inference = Inference(job, place)
    device, names = inference.subject.device, job.task_names
    factored, merged = inference.run("factored", names), inference.run("merged", names)
    apart = max(float((merged[n] - value).abs().max() / value.abs().max()) for n, value in factored.items())
    chip = chip_rate(device, job.precision)
    found: dict[str, Any] = {"chip_flops": significant(chip, 4), "apart": significant(apart, 3)}
    for scope, wanted in (("one", names[:1]), ("all", names)):
        ways: dict[str, Work] = {form: partial(inference.run, form, wanted) for form in FORMS}
        flops = counted(ways)
        figures = measured(ways, flops, job, device)
        pace = {
            form: significant(job.batch / timed["median_s"], 4)
            for form, timed in figures.items()
            if "median_s" in timed
        }
        found[scope] = {**figures, "flops": flops, "images_per_s": pace}
    return found


def memory_of_form(job: Job, place: Place, form: str) -> dict[str, Any]:
    """Peak memory of all tasks in one form, in a process of its own that holds no other form."""
    inference = Inference(job, place, (form,))
    return {"all": kept_peak(partial(inference.run, form, job.task_names), inference.subject.device)}


def time_harness(job: Job, place: Place) -> dict[str, Any]:
    """Time `HARNESS_STEPS` steps of both loops in turn.

    Returns "steps", times of "bare" and "harness" for all steps, "overhead" (share of the bare loop's median
    that the harness takes more; negative where it took less) and "overhead_s" a step.
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
            plain_loss(part.model, context, batch, context.unit.tasks)[0].backward()
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


_KINDS = {  # the first kind that an operator's name holds a word of
    "matrix products": ("mm", "bmm", "convolution", "linear", "scaled_dot_product", "flash", "gemm"),
    "softmax": ("softmax",),
    "norms": ("layer_norm", "native_norm"),
    "copies": ("copy_", "cat", "clone", "contiguous", "fill_", "zero_", "index", "pad", "slice_backward"),
    "activations and dropout": ("gelu", "relu", "dropout", "bernoulli"),
    "optimiser": ("adam",),
}
_OTHER = "other element-wise work"
_LISTED = 8  # operators a path


def profile_paths(job: Job, place: Place) -> dict[str, Any]:
    """Profile a training step of each path, after one that warms up.

    Returns by path "total_s" (time inside operators), "kinds" (seconds by kind of work) and "operators" (the
    costliest with their seconds and calls). Profiling slows a step; shares matter, not seconds.
    """
    subject = Subject(job, place)
    return {way: _profiled(subject, way) for way in WAYS}


def _profiled(subject: Subject, way: Way) -> dict[str, Any]:
    cuda = subject.device.type == "cuda"
    subject.train(way)
    activities = [ProfilerActivity.CUDA if cuda else ProfilerActivity.CPU]
    with _silent(), profile(activities=activities, acc_events=True) as seen:
        subject.train(way)
        if cuda:
            torch.cuda.synchronize()
    operators: dict[str, tuple[float, int]] = {}
    for event in seen.key_averages():
        time = event.self_device_time_total if cuda else event.self_cpu_time_total
        operators[event.key] = (time / 1e6, int(event.count))
    kinds: dict[str, float] = defaultdict(float)
    for name, (time, _) in operators.items():
        kinds[kind_of(name)] += time
    dearest = sorted(kinds.items(), key=lambda item: -item[1])
    first = sorted(operators.items(), key=lambda item: -item[1][0])[:_LISTED]
    return {
        "total_s": significant(sum(time for time, _ in operators.values()), 4),
        "kinds": {kind: significant(time, 4) for kind, time in dearest},
        "operators": [
            {"name": name, "seconds": significant(time, 4), "calls": calls} for name, (time, calls) in first
        ],
    }


@contextmanager
def _silent() -> Iterator[None]:
    """Keep the profiler's own log lines off standard error; they do not go through Python."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def kind_of(operator: str) -> str:
    """The kind of work of an operator or kernel, by its name."""
    name = operator.lower()
    return next((kind for kind, words in _KINDS.items() if any(word in name for word in words)), _OTHER)


def measure(job: Job, place: Place, part: str) -> dict[str, Any]:
    """Measure a part of a job in this process, with the kernels that its cells would take ("kernels")."""
    measures: dict[Kind, Callable[[Job, Place], dict[str, Any]]] = {
        "paths": time_paths,
        "inference": time_inference,
        "harness": time_harness,
        "profile": profile_paths,
        "losses": compare_losses,
        "largest": find_largest,
        "tests": run_tests,
        "determinism": repeat,
        "demo": run_demo,
    }
    kernels = kernels_of(job, torch.device(place.device)) if job.kind in STEPS else {}
    with job.where.backbone.using_kernels(kernels):
        if not part.startswith("memory-"):
            return measures[job.kind](job, place) | ({"kernels": kernels} if kernels else {})
        which = part.removeprefix("memory-")
        if job.kind == "inference":
            return memory_of_form(job, place, which)
        return memory_of_path(job, place, cast(Way, which))
