"""What a job measures, part by part: here the two paths and a profile."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, cast

import torch
from torch.profiler import ProfilerActivity, profile

from tabench.bench.checks import repeat, run_demo, run_tests
from tabench.bench.counting import agreement, counted, rates
from tabench.bench.inference import memory_of_form, time_inference
from tabench.bench.jobs import Job, Kind, Place, parts_of
from tabench.bench.limits import compare_losses, find_largest
from tabench.bench.steps import compare_steps, time_harness, time_loader
from tabench.bench.subject import Subject, kernels_of
from tabench.bench.timing import Work, chip_rate, kept_peak, measured, ratio, within_memory
from tabench.encoders.plain import Way
from tabench.store.encoding import significant

WAYS: tuple[Way, ...] = ("plain", "fast")
# kinds that run as one cell does, with its kernels
STEPS = ("paths", "inference", "harness", "relative", "loader", "profile")
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
        "relative": compare_steps,
        "loader": time_loader,
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
