"""What a job measures: seconds, FLOPs and agreement of the two paths, and the memory of each."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tabench.bench.jobs import Job, Place
from tabench.bench.subject import Subject
from tabench.bench.timing import Work, kept_peak, measured, ratio, within_memory
from tabench.encoders.plain import Way
from tabench.engine.measure import ATTENTION
from tabench.store.encoding import significant

WAYS: tuple[Way, ...] = ("plain", "fast")
_BY_PEAK = ("evaluate", "train")  # each peak is above the one before, so memory kept by malloc does not show
_FLOOR = 1e-3  # a gradient counts as this share of the model's largest at least: some are 0 but for rounding


def measure(job: Job, place: Place, part: str) -> dict[str, Any]:
    """Measure a part of a job in this process."""
    if part == "time":
        return time_paths(job, place)
    return memory_of_path(job, place, cast(Way, part.removeprefix("memory-")))


def time_paths(job: Job, place: Place) -> dict[str, Any]:
    """Time both paths alternately, after counting FLOPs (which warms up) and comparing gradients.

    Returns "models", "agreement" (None where a path has no memory for it), and by work "plain" and "fast"
    (see `alternate`), "ratio" (plain over fast) and "flops" of both.
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


def flops_of(work: Work) -> int:
    """FLOPs of all matrix products and convolutions that a work computes, recomputed ones included.

    A multiplication with its addition is 2; element-wise work is not counted.
    """
    with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
        work()
    return int(counter.get_total_flops())


def counted(ways: Mapping[str, Work]) -> dict[str, int]:
    """FLOPs of each way that the device has memory for; this warms them up."""
    flops: dict[str, int] = {}

    def count(way: str, work: Work) -> None:
        flops[way] = flops_of(work)

    for way, work in ways.items():
        within_memory(partial(count, way, work))
    return flops


def agreement(subject: Subject) -> dict[str, Any]:
    """Compare the two paths on the same weights and images, without dropout.

    Returns "outputs": largest difference of an output over the largest output of its task. "gradients":
    largest difference of a gradient's entry over the parameter's largest (or 0.001 of the model's, where that
    is more), for the worst parameter, named by "worst". "loss": relative difference of the loss.
    """
    plain, fast = subject.outputs("plain"), subject.outputs("fast")
    outputs = max(_apart(fast[name], value, 0.0) for name, value in plain.items())
    del plain, fast
    found: dict[Way, dict[str, Tensor]] = {}
    losses: dict[Way, float] = {}
    for way in WAYS:
        for part in subject.parts:
            part.model.eval()  # no dropout; nothing else of an mSAM knows the mode
            part.optimizer.zero_grad(set_to_none=True)
        losses[way] = subject.gradients(way)["loss"]
        found[way] = _taken(subject)
    floor = _FLOOR * max(float(value.abs().max()) for value in found["plain"].values())
    apart = {name: _apart(found["fast"][name], value, floor) for name, value in found["plain"].items()}
    worst = max(apart, key=lambda name: apart[name])
    return {
        "outputs": significant(outputs, 3),
        "gradients": significant(apart[worst], 3),
        "worst": worst,
        "loss": significant(abs(losses["fast"] - losses["plain"]) / abs(losses["plain"]), 3),
    }


def _taken(subject: Subject) -> dict[str, Tensor]:
    """All gradients, taken off the models."""
    found = {}
    for part in subject.parts:
        for name, parameter in part.model.named_parameters():
            if parameter.grad is not None:
                found[f"{part.context.unit.name}:{name}"] = parameter.grad
        part.optimizer.zero_grad(set_to_none=True)
    return found


def _apart(mine: Tensor, reference: Tensor, floor: float) -> float:
    largest = max(float(reference.abs().max()), floor)
    return float((mine - reference).abs().max()) / largest if largest else float(mine.abs().max())
