"""Where a training step's time goes, by torch's profiler: what limits a path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile

from tabench.bench.jobs import Job, Place
from tabench.bench.subject import Subject
from tabench.encoders.msam import Path as Way
from tabench.store.encoding import significant

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

    Returns:
        By path: "total_s" (time inside operators), "kinds" (seconds by kind of work) and "operators" (the
        costliest with their seconds and calls). Profiling slows a step; shares matter, not seconds.
    """
    subject = Subject(job, place)
    ways: tuple[Way, ...] = ("plain", "fast")
    return {way: _profiled(subject, way) for way in ways}


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
    kinds: dict[str, float] = {}
    for name, (time, _) in operators.items():
        kinds[kind_of(name)] = kinds.get(kind_of(name), 0.0) + time
    first = sorted(operators.items(), key=lambda item: -item[1][0])[:_LISTED]
    return {
        "total_s": significant(sum(time for time, _ in operators.values()), 4),
        "kinds": {
            kind: significant(time, 4) for kind, time in sorted(kinds.items(), key=lambda item: -item[1])
        },
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
