"""Suites: which jobs a command runs, cheap ones first. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from itertools import cycle, islice

from tabench.bench.jobs import NYUV2, Job
from tabench.catalog import METHODS
from tabench.errors import SpecError
from tabench.methods.base import Value
from tabench.text import nearest, suggestion

SUITES = ("cpu", "cpu-full", "gpu", "gpu-full")
CPU_SIZES = ("b4-256", "b4-512", "b12-256", "b12-512")
GPU_SIZES = ("vit_b", "vit_l", "vit_h")
TASKS = range(1, 9)
RANKS = (8, 16, 32, 64)
CHANNELS = (1, 4, 13, 40)
NANO_SIDES = (64, 96, 128, 192)
GPU_SIDES = (256, 512, 768, 1024)


def suite(name: str) -> list[Job]:
    """The jobs of a suite.

    "cpu" is what two cores do in about twelve minutes: every method where a step takes three seconds at most,
    TA-LoRA up to ViT-B of full depth at 512 pixels, growth, inference, a profile and the harness. "cpu-full"
    has every method at every size, four images too, and takes hours. "gpu" and "gpu-full" do the same at
    SAM's own sizes, in fp32 and bf16.

    Raises:
        SpecError: There is no such suite.
    """
    every, ours = METHODS.names(), ["ta-lora"]
    jobs: list[Job] = []
    if name == "cpu":
        jobs += briefly(paths(every, ["nano"], (1,)), 3.0)
        jobs += briefly(paths(ours, ["nano"], (4,)), 3.0)
        jobs += harness(ours, "nano")
        jobs += briefly(inference(_adapted(), ["nano"], (1,)), 1.0)
        jobs += briefly(inference(ours, ["nano"], (4,)), 1.0)
        jobs += growth("nano", NANO_SIDES)
        jobs += profiles(ours, ["nano", "b4-256"])
        jobs += briefly(inference(ours, ["b4-256"], (1,)), 4.0)
        jobs += paths(ours, ["b4-256"], (1,))
        jobs += briefly(training(paths(every, ["b4-256"], (1,))), 5.0)
        jobs += training(paths(ours, ["b4-512", "b12-256"], (1,)))
        jobs += cut(few(training(paths(ours, ["b12-256"], (1,)))), "apart")
        jobs += few(training(paths(ours, ["b4-256"], (4,))))
        jobs += few(training(paths(ours, ["b12-512"], (1,))))
    if name == "cpu-full":
        jobs += paths(every, ["nano", *CPU_SIZES], (1, 4))
        jobs += harness(every, "nano")
        jobs += inference(_adapted(), ["nano", *CPU_SIZES], (1, 4))
        jobs += growth("nano", NANO_SIDES)
        jobs += profiles(ours, ["nano", *CPU_SIZES])
        for passes in ("together", "apart", "apart+recompute"):
            jobs += cut(training(paths(ours, ["nano", *CPU_SIZES], (1, 4))), passes)
    if name in ("gpu", "gpu-full"):
        jobs += _both(paths(every, ["vit_b"], (1,)))
        jobs += harness(ours, "vit_b")
        jobs += _both(profiles(ours, GPU_SIZES))
        jobs += _both(inference(ours, GPU_SIZES, (1, 8)))
        jobs += growth("vit_b", GPU_SIDES)
        jobs += _both(paths(ours, GPU_SIZES, (1, 4, 8)))
        for passes in ("together", "chosen+compiled", "together+compiled"):
            jobs += _both(cut(training(paths(ours, ["vit_b", "vit_l"], (1, 4))), passes))
    if name == "gpu-full":
        jobs += _both(paths(every, GPU_SIZES, (1, 4, 8)))
    if jobs:
        return list({job.name: job for job in reversed(jobs)}.values())[
            ::-1
        ]  # each job where it stands first
    hint = suggestion(name, SUITES)
    raise SpecError(f"no suite '{name}'", where="--suite", hint=hint)


def chosen(jobs: Iterable[Job], patterns: Sequence[str]) -> list[Job]:
    """The jobs whose name matches a pattern ("paths-ta-lora-*"), or holds it; all of them without patterns.

    Raises:
        SpecError: None does.
    """
    jobs = list(jobs)
    found = [
        job
        for job in jobs
        if not patterns or any(fnmatch(job.name, pattern) or pattern in job.name for pattern in patterns)
    ]
    if not found:
        near = nearest(patterns[0], [job.name for job in jobs])
        hint = f"did you mean '{near}'?" if near else "`--list` prints the names"
        raise SpecError(f"no measurement matches '{', '.join(patterns)}'", where="--only", hint=hint)
    return found


def briefly(jobs: Iterable[Job], budget: float) -> list[Job]:
    """The jobs with fewer seconds for rounds beyond the fewest."""
    return [replace(job, budget=budget) for job in jobs]


def few(jobs: Iterable[Job]) -> list[Job]:
    """The jobs with two rounds: for steps of half a minute."""
    return [replace(job, repeats=2, fewest=2) for job in jobs]


def cut(jobs: Iterable[Job], passes: str) -> list[Job]:
    """The jobs with the fast path's steps cut otherwise than the harness chooses."""
    return [replace(job, passes=passes) for job in jobs]


def training(jobs: Iterable[Job]) -> list[Job]:
    """The jobs without evaluation."""
    return [replace(job, works=("train",)) for job in jobs]


def paths(methods: Sequence[str], sizes: Sequence[str], batches: Sequence[int]) -> list[Job]:
    """The plain path against the fast one."""
    return [Job("paths", m, size, batch) for size in sizes for batch in batches for m in methods]


def inference(methods: Sequence[str], sizes: Sequence[str], batches: Sequence[int]) -> list[Job]:
    """Latency and throughput of plain, factored and merged models."""
    return [Job("inference", m, size, batch) for size in sizes for batch in batches for m in methods]


def harness(methods: Sequence[str], size: str) -> list[Job]:
    """The harness's loop against a bare one."""
    return [Job("harness", method, size, batch=2) for method in methods]


def profiles(methods: Sequence[str], sizes: Sequence[str]) -> list[Job]:
    """Where the time of a training step goes."""
    return [Job("profile", method, size) for size in sizes for method in methods]


def growth(size: str, sides: Sequence[int]) -> list[Job]:
    """Training steps of TA-LoRA over number of tasks, rank, channels of a task and side of the input."""
    base = Job("paths", "ta-lora", size, works=("train",), budget=2.0)
    return [
        *(
            replace(base, axis="tasks", value=count, tasks=tuple(islice(cycle(NYUV2), count)))
            for count in TASKS
        ),
        *(replace(base, axis="rank", value=rank, params=_ranks(rank)) for rank in RANKS),
        *(replace(base, axis="channels", value=n, tasks=(("segmentation", n), *NYUV2[1:])) for n in CHANNELS),
        *(
            replace(
                base, axis="image", value=side, size=f"nano-{side}" if size == "nano" else f"{size}@{side}"
            )
            for side in sides
        ),
    ]


def _ranks(rank: int) -> dict[str, Value]:
    return {"ranks": (rank, rank, 4)}


def _adapted() -> list[str]:
    """Methods whose updates can be merged into the encoder's weights."""
    return [name for name in METHODS.names() if METHODS.get(name).merges]


def _both(jobs: Iterable[Job]) -> list[Job]:
    return [replace(job, precision=precision) for job in jobs for precision in ("fp32", "bf16")]
