"""Suites: which jobs a command runs, cheap ones first. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from fnmatch import fnmatch
from itertools import cycle, islice, product
from typing import Any

from tabench.bench.jobs import NYUV2, Job, Kind
from tabench.catalog import METHODS
from tabench.errors import SpecError
from tabench.text import nearest, suggestion

SUITES = ("cpu", "cpu-full", "gpu", "gpu-full")
CPU_SIZES = ("b4-256", "b4-512", "b12-256", "b12-512")
GPU_SIZES = ("vit_b", "vit_l", "vit_h")
SIDES = {"nano": (64, 96, 128, 192), "vit_b": (256, 512, 768, 1024)}  # of growth curves
TRAINING: dict[str, Any] = {"works": ("train",)}  # without evaluation
FEW: dict[str, Any] = {"repeats": 2, "fewest": 2}  # rounds, for steps of half a minute


def suite(name: str) -> list[Job]:
    """The jobs of a suite.

    "cpu" is what two cores do in about twelve minutes: every method where a step takes three seconds at most,
    TA-LoRA up to ViT-B of full depth at 512 pixels, growth, inference, a profile and the harness. "cpu-full"
    has every method at every size, four images too, and takes hours. "gpu" and "gpu-full" do the same at
    SAM's own sizes, in fp32 and bf16.

    Raises SpecError: there is no such suite.
    """
    every, ours = METHODS.names(), ["ta-lora"]
    adapted = [name for name in every if METHODS.get(name).merges]
    jobs: list[Job] = []
    if name == "cpu":
        jobs += grid("paths", every, ["nano"], budget=3.0)
        jobs += grid("paths", ours, ["nano"], (4,), budget=3.0)
        jobs += grid("harness", ours, ["nano"], (2,))
        jobs += grid("inference", adapted, ["nano"], budget=1.0)
        jobs += grid("inference", ours, ["nano"], (4,), budget=1.0)
        jobs += growth("nano")
        jobs += grid("profile", ours, ["nano", "b4-256"])
        jobs += grid("inference", ours, ["b4-256"], budget=4.0)
        jobs += grid("paths", ours, ["b4-256"])
        jobs += grid("paths", every, ["b4-256"], budget=5.0, **TRAINING)
        jobs += grid("paths", ours, ["b4-512", "b12-256"], **TRAINING)
        jobs += grid("paths", ours, ["b12-256"], passes="apart", **TRAINING, **FEW)
        jobs += grid("paths", ours, ["b4-256"], (4,), **TRAINING, **FEW)
        jobs += grid("paths", ours, ["b12-512"], **TRAINING, **FEW)
    if name == "cpu-full":
        sizes = ["nano", *CPU_SIZES]
        jobs += grid("paths", every, sizes, (1, 4))
        jobs += grid("harness", every, ["nano"], (2,))
        jobs += grid("inference", adapted, sizes, (1, 4))
        jobs += growth("nano")
        jobs += grid("profile", ours, sizes)
        for passes in ("together", "apart", "apart+recompute"):
            jobs += grid("paths", ours, sizes, (1, 4), passes=passes, **TRAINING)
    if name in ("gpu", "gpu-full"):
        jobs += both(grid("paths", every, ["vit_b"]))
        jobs += grid("harness", ours, ["vit_b"], (2,))
        jobs += both(grid("profile", ours, GPU_SIZES))
        jobs += both(grid("inference", ours, GPU_SIZES, (1, 8)))
        jobs += growth("vit_b")
        jobs += both(grid("paths", ours, GPU_SIZES, (1, 4, 8)))
        for passes in ("together", "chosen+compiled", "together+compiled"):
            jobs += both(grid("paths", ours, ["vit_b", "vit_l"], (1, 4), passes=passes, **TRAINING))
    if name == "gpu-full":
        jobs += both(grid("paths", every, GPU_SIZES, (1, 4, 8)))
    if not jobs:
        raise SpecError(f"no suite '{name}'", where="--suite", hint=suggestion(name, SUITES))
    first: dict[str, Job] = {}
    for job in jobs:
        first.setdefault(job.name, job)
    return list(first.values())


def chosen(jobs: Iterable[Job], patterns: Sequence[str]) -> list[Job]:
    """The jobs whose name matches a pattern ("paths-ta-lora-*"), or holds it; all of them without patterns.

    Raises SpecError: none does.
    """
    jobs = list(jobs)
    found = [
        job for job in jobs if not patterns or any(fnmatch(job.name, p) or p in job.name for p in patterns)
    ]
    if not found:
        near = nearest(patterns[0], [job.name for job in jobs])
        hint = f"did you mean '{near}'?" if near else "`--list` prints the names"
        raise SpecError(f"no measurement matches '{', '.join(patterns)}'", where="--only", hint=hint)
    return found


def grid(
    kind: Kind, methods: Sequence[str], sizes: Sequence[str], batches: Sequence[int] = (1,), **more: Any
) -> list[Job]:
    """A job for each method, size and number of images; `more` are further fields of `Job`."""
    return [Job(kind, m, size, batch, **more) for size, batch, m in product(sizes, batches, methods)]


def growth(size: str) -> list[Job]:
    """Training steps of TA-LoRA over number of tasks, rank, channels of a task and side of the input."""

    def of(axis: str, value: int, **changed: Any) -> Job:
        given = {"size": size, "budget": 2.0, **TRAINING, **changed}
        return Job("paths", "ta-lora", axis=axis, value=value, **given)

    sided = "nano-{}" if size == "nano" else size + "@{}"
    return [
        *(of("tasks", count, tasks=tuple(islice(cycle(NYUV2), count))) for count in range(1, 9)),
        *(of("rank", rank, params={"ranks": (rank, rank, 4)}) for rank in (8, 16, 32, 64)),
        *(of("channels", n, tasks=(("segmentation", n), *NYUV2[1:])) for n in (1, 4, 13, 40)),
        *(of("image", side, size=sided.format(side)) for side in SIDES[size]),
    ]


def both(jobs: Iterable[Job]) -> list[Job]:
    """The jobs in fp32 and in bf16."""
    return [replace(job, precision=precision) for job in jobs for precision in ("fp32", "bf16")]
