"""Measuring the plain path against the fast one: time, FLOPs and agreement together, memory apart."""

from __future__ import annotations

from functools import partial
from typing import Any

from tabench.bench.counting import agreement, counted, rates
from tabench.bench.jobs import Job, Place
from tabench.bench.memory import kept_peak
from tabench.bench.rate import chip_rate
from tabench.bench.subject import Subject
from tabench.bench.timing import Work, measured, ratio, within_memory
from tabench.encoders.msam import Path as Way
from tabench.store.encoding import significant

WAYS: tuple[Way, ...] = ("plain", "fast")
_BY_PEAK = ("evaluate", "train")  # each peak is above the one before, so memory kept by malloc does not show


def time_paths(job: Job, place: Place) -> dict[str, Any]:
    """Time both paths alternately, after counting FLOPs (which warms up) and comparing gradients.

    Returns:
        "models", "chip_flops", "agreement" (None where a path has no memory for it), and by work "plain" and
        "fast" (see `alternate`), "ratio" (plain over fast), "flops" and "rates" of both.
    """
    subject = Subject(job, place)
    device = subject.device
    chip = chip_rate(device, job.precision)
    found: dict[str, Any] = {"models": len(subject.parts), "chip_flops": significant(chip, 4)}
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
