"""Seconds, memory and the chip's own rate.

Several ways of one work are timed in turn, so that what disturbs a machine disturbs them alike. Peak
memory is over what the process held before: resident on the CPU, allocated on CUDA.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tabench.bench.jobs import Job
from tabench.store.encoding import significant

Work = Callable[[], object]
OUT_OF_MEMORY = "out of memory"
SIDE = {"cpu": 2048, "cuda": 8192}  # of the matrices that tell a chip's rate
ROUNDS = 3
RESAMPLES = 10_000  # of the rounds, for an interval
FEWEST = 5  # rounds of which an interval is told


def alternate(
    ways: Mapping[str, Work], *, repeats: int, fewest: int, budget: float, device: torch.device
) -> dict[str, dict[str, Any]]:
    """Time the ways in turn (A B A B ...), each warmed up already: at most `repeats` rounds.

    After `budget` seconds `fewest` rounds are enough. The device is waited for before a clock is read.
    Returns name to `summary`; {"error": ...} for a way that the device has no memory for.
    """
    wall: dict[str, list[float]] = {name: [] for name in ways}
    cpu: dict[str, list[float]] = {name: [] for name in ways}
    failed: dict[str, str] = {}
    started = time.perf_counter()
    for number in range(repeats):
        if number >= fewest and time.perf_counter() - started > budget:
            break
        for name, work in ways.items():
            if name in failed:
                continue
            gc.collect()
            synchronise(device)
            at, used = time.perf_counter(), time.process_time()
            if not within_memory(work):
                failed[name] = OUT_OF_MEMORY
                continue
            synchronise(device)
            wall[name].append(time.perf_counter() - at)
            cpu[name].append(time.process_time() - used)
    return {
        name: {"error": failed[name]} if name in failed else summary(wall[name], cpu[name]) for name in ways
    }


def measured(
    ways: Mapping[str, Work], able: Iterable[str], job: Job, device: torch.device
) -> dict[str, dict[str, Any]]:
    """`alternate` as a job wants it; ways that are not able are told to have had no memory."""
    runnable = {name: ways[name] for name in able}
    # Counting has warmed them up, but not what counting switches off.
    if device.type == "cuda" or "compiled" in job.passes:
        for work in runnable.values():
            within_memory(work)
    found = alternate(runnable, repeats=job.repeats, fewest=job.fewest, budget=job.budget, device=device)
    return {name: found.get(name, {"error": OUT_OF_MEMORY}) for name in ways}


def within_memory(work: Work) -> bool:
    """Do a work; False if the device had no memory for it."""
    try:
        work()
        return True
    except torch.OutOfMemoryError:
        pass
    # outside the handler, whose traceback still holds the work's tensors
    gc.collect()
    torch.cuda.empty_cache()
    return False


def summary(wall: list[float], cpu: list[float]) -> dict[str, Any]:
    """Median and quartiles of wall seconds, median of processor seconds, and every value."""
    first, median, third = map(float, np.quantile(wall, [0.25, 0.5, 0.75]))
    return {
        "median_s": significant(median, 5),
        "q1_s": significant(first, 5),
        "q3_s": significant(third, 5),
        "cpu_median_s": significant(float(np.median(cpu)), 5),
        "wall_s": [significant(value, 5) for value in wall],
        "cpu_s": [significant(value, 5) for value in cpu],
    }


def ratio(figures: Mapping[str, Mapping[str, Any]], above: str, below: str) -> dict[str, Any] | None:
    """The median of one way over that of another, its range round by round, and that of processor time.

    "interval" is the ratio's 95 % interval, None of few rounds.
    """
    if "error" in figures[above] or "error" in figures[below]:
        return None
    rounds = [a / b for a, b in zip(figures[above]["wall_s"], figures[below]["wall_s"], strict=True)]
    return {
        "of_medians": significant(figures[above]["median_s"] / figures[below]["median_s"], 5),
        "lowest": significant(min(rounds), 5),
        "highest": significant(max(rounds), 5),
        "of_cpu": significant(figures[above]["cpu_median_s"] / figures[below]["cpu_median_s"], 5),
        "interval": interval(figures[above]["wall_s"], figures[below]["wall_s"]),
    }


def interval(above: Sequence[float], below: Sequence[float]) -> list[float] | None:
    """95 % bootstrap interval of a ratio of medians; None where there are fewer than `FEWEST` rounds.

    Whole rounds are drawn, with what both ways took in them: what slowed a round slowed both.
    """
    rounds = len(above)
    if rounds < FEWEST:
        return None
    drawn = np.random.default_rng(0).integers(rounds, size=(RESAMPLES, rounds))
    medians = [np.median(np.asarray(seconds)[drawn], axis=1) for seconds in (above, below)]
    return [significant(float(end), 5) for end in np.quantile(medians[0] / medians[1], [0.025, 0.975])]


def synchronise(device: torch.device) -> None:
    """Wait for what a CUDA device still computes."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def chip_rate(device: torch.device, precision: str) -> float:
    """The best of a few products of square matrices, FLOP/s.

    In fp32 a CUDA device computes true fp32 (TF32 stays off, as in training).
    """
    side = SIDE[device.type]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(ROUNDS):
        synchronise(device)
        started = time.perf_counter()
        a @ b
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best


def peak_of(work: Work, device: torch.device) -> dict[str, float | str]:
    """Do a work once and measure its peak; call it in a process that has done nothing else.

    Returns "base_mb" before, "peak_mb" during, "over_base_mb", and "counter": what was read (VmHWM where the
    system can reset it, else the process' highest so far).
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        base = torch.cuda.memory_allocated(device) / 2**20
        work()
        return _figures(base, torch.cuda.max_memory_allocated(device) / 2**20, "CUDA allocator")
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what was freed is not part of the base
    reset = False
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        reset = True
    base = _status("VmRSS")
    work()
    return _figures(base, _status("VmHWM"), "VmHWM, reset" if reset else "VmHWM")


def kept_peak(work: Work, device: torch.device) -> dict[str, float | str]:
    """`peak_of`, or {"error": ...} where the device has no memory for it or the system does not tell."""
    found: dict[str, float | str] = {}
    try:
        if within_memory(lambda: found.update(peak_of(work, device))):
            return found
    except OSError as error:
        return {"error": str(error)}
    return {"error": OUT_OF_MEMORY}


def _figures(base: float, peak: float, counter: str) -> dict[str, float | str]:
    return {
        "base_mb": round(base, 1),
        "peak_mb": round(peak, 1),
        "over_base_mb": round(peak - base, 1),
        "counter": counter,
    }


def _status(key: str) -> float:
    """A line of /proc/self/status in MB. Raises OSError: the system has none."""
    found = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.M)
    if not found:
        raise OSError(f"/proc/self/status does not tell {key}")
    return float(found[1]) / 1024
