"""Suites: which jobs a command runs, cheap ones first. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from itertools import cycle, islice

from tabench.catalog import METHODS
from tabench.engine.bench.jobs import NYUV2, Job
from tabench.errors import SpecError
from tabench.methods.base import Value
from tabench.registry import nearest

SUITES = ("cpu", "cpu-full", "gpu", "gpu-full")
CPU_SIZES = ("b4-256", "b4-512", "b12-256", "b12-512")
GPU_SIZES = ("vit_b", "vit_l", "vit_h")
RANKS = (4, 8, 16, 32, 64)
CHANNELS = (1, 4, 13, 40, 80)


def suite(name: str) -> list[Job]:
    """The jobs of a suite.

    "cpu" measures every method where a step takes a second, ViT-B's width with TA-LoRA at every size, growth
    and the harness: about ten minutes on two cores. "cpu-full" adds every method at every size: hours.
    "gpu" and "gpu-full" do the same at SAM's own sizes, in fp32 and bf16.

    Raises:
        SpecError: There is no such suite.
    """
    every, ours = METHODS.names(), ["ta-lora"]
    jobs: list[Job] = []
    if name in ("cpu", "cpu-full"):
        jobs += paths(every, ["nano"], (1, 4))
        jobs += harness(["ta-lora", "frozen"], "nano")
        jobs += inference(_adapted(), ["nano"], (1, 4))
        jobs += growth("nano", (64, 96, 128, 192, 256))
        jobs += paths(every, ["b4-256"], (1,))
        jobs += inference(ours, ["b4-256", "b12-512"], (1,))
        jobs += paths(ours, CPU_SIZES, (1, 4))
    if name == "cpu-full":
        jobs += paths(every, CPU_SIZES, (1, 4))
    if name in ("gpu", "gpu-full"):
        jobs += _both(paths(every, ["vit_b"], (1,)))
        jobs += harness(ours, "vit_b")
        jobs += _both(inference(ours, GPU_SIZES, (1, 8)))
        jobs += growth("vit_b", (256, 512, 768, 1024))
        jobs += _both(paths(ours, GPU_SIZES, (1, 4, 8)))
    if name == "gpu-full":
        jobs += _both(paths(every, GPU_SIZES, (1, 4, 8)))
    if jobs:
        return list({job.name: job for job in reversed(jobs)}.values())[
            ::-1
        ]  # each job where it stands first
    close = nearest(name, SUITES)
    hint = f"did you mean '{close}'?" if close else f"known: {', '.join(SUITES)}"
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


def paths(methods: Sequence[str], sizes: Sequence[str], batches: Sequence[int]) -> list[Job]:
    """The plain path against the fast one."""
    return [Job("paths", m, size, batch) for size in sizes for batch in batches for m in methods]


def inference(methods: Sequence[str], sizes: Sequence[str], batches: Sequence[int]) -> list[Job]:
    """Latency and throughput of plain, factored and merged models."""
    return [Job("inference", m, size, batch) for size in sizes for batch in batches for m in methods]


def harness(methods: Sequence[str], size: str) -> list[Job]:
    """The harness's loop against a bare one."""
    return [Job("harness", method, size, batch=4) for method in methods]


def growth(size: str, sides: Sequence[int]) -> list[Job]:
    """Training steps of TA-LoRA over number of tasks, rank, channels of a task and side of the input."""
    base = Job("paths", "ta-lora", size, works=("train",), budget=4.0)
    return [
        *(
            replace(base, axis="tasks", value=count, tasks=tuple(islice(cycle(NYUV2), count)))
            for count in range(1, 9)
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
    return [name for name in METHODS.names() if "targets" in METHODS.get(name).defaults]


def _both(jobs: Iterable[Job]) -> list[Job]:
    return [replace(job, precision=precision) for job in jobs for precision in ("fp32", "bf16")]
