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

SUITES = ("cpu", "gpu")
CPU_SIZES = ("b4-256", "b4-512", "b12-256", "b12-512")
GPU_SIZES = ("vit_b", "vit_l", "vit_h")
SIDES = {"nano": (64, 96, 128, 192), "vit_b": (256, 512, 768, 1024)}  # of growth curves
REHEARSED = {"vit_b": "nano-16", "vit_l": "nano-24", "vit_h": "nano-32"}
TRAINING: dict[str, Any] = {"works": ("train",)}  # without evaluation
FEW: dict[str, Any] = {"repeats": 2, "fewest": 2}  # rounds, for steps of half a minute
THIRTY: dict[str, Any] = {"repeats": 30, "fewest": 30, **TRAINING}
SURE: dict[str, Any] = {"repeats": 15, "fewest": 7, "budget": 60.0}  # rounds, for an interval
SHOWN = ("b12-256", "b12-512", "vit_b")  # ViT-B whole, at three inputs
MOST = 256  # images of a step that kind "largest" tries
Parts = dict[str, list[Job]]


def suite(name: str, *, full: bool = False) -> Parts:
    """The jobs of a suite, by the parts that it runs in.

    "cpu" is what two cores do in about twelve minutes: every method where a step takes three seconds at most,
    TA-LoRA up to ViT-B of full depth at 512 pixels, growth, inference, a profile and the harness; `full` has
    every method at every size, four images too, and takes hours. "gpu" checks the device and times three
    methods at SAM's ViT-B and ViT-L, in fp32 and bf16, in less than ten minutes on a large GPU; `full` adds
    ViT-H, every method, inference, growth and what else is asked of a GPU, in hours.

    Raises SpecError: there is no such suite.
    """
    makers = {"cpu": _cpu_full if full else _cpu, "gpu": _gpu_full if full else _gpu}
    if name not in makers:
        raise SpecError(f"no suite '{name}'", where="--suite", hint=suggestion(name, SUITES))
    return _once(makers[name]())


def _cpu() -> Parts:
    every, ours = METHODS.names(), ["ta-lora"]
    return {
        "nano": [
            *grid("paths", every, ["nano"], budget=3.0),
            *grid("paths", ours, ["nano"], (4,), budget=3.0),
            *grid("harness", ours, ["nano"], (2,)),
            *grid("inference", _adapted(), ["nano"], budget=1.0),
            *grid("inference", ours, ["nano"], (4,), budget=1.0),
        ],
        "growth": growth("nano"),
        "profile": grid("profile", ours, ["nano", "b4-256"]),
        "vit_b": [
            *grid("inference", ours, ["b4-256"], budget=4.0),
            *grid("paths", ours, ["b4-256"]),
            *grid("paths", every, ["b4-256"], budget=5.0, **TRAINING),
            *grid("paths", ours, ["b4-512", "b12-256"], **TRAINING),
            *grid("paths", ours, ["b12-256"], passes="apart", **TRAINING, **FEW),
            *grid("paths", ours, ["b4-256"], (4,), **TRAINING, **FEW),
            *grid("paths", ours, ["b12-512"], **TRAINING, **FEW),
        ],
    }


def _cpu_full() -> Parts:
    sizes, ours = ["nano", *CPU_SIZES], ["ta-lora"]
    cuts = ("together", "apart", "apart+recompute")
    return {
        "methods": grid("paths", METHODS.names(), sizes, (1, 4)),
        "harness": grid("harness", METHODS.names(), ["nano"], (2,)),
        "inference": [
            *both(grid("inference", [*ours, "lora-hps"], SHOWN, **SURE)),
            *grid("inference", _adapted(), sizes, (1, 4)),
        ],
        "relative": grid("relative", METHODS.names(), ["nano", *SHOWN], **SURE),
        "loader": grid("loader", [*ours, "lora-hps"], ["nano", *SHOWN]),
        "growth": growth("nano"),
        "profile": grid("profile", ours, sizes),
        "passes": [j for cut in cuts for j in grid("paths", ours, sizes, (1, 4), passes=cut, **TRAINING)],
    }


def _gpu() -> Parts:
    ours, three = ["ta-lora"], ["ta-lora", "lora-hps", "full-hps"]
    together = [replace(job, precision="bf16") for job in _together("vit_l", (1, 4))]
    together += [replace(together[-1], passes="together+varying")]  # with every kernel there is
    return {
        "tests": grid("tests", ours, ["nano"]),
        "determinism": grid("determinism", ours, ["nano"]),
        "vit_b": both(grid("paths", three, ["vit_b"], **THIRTY)),
        "vit_l": both(grid("paths", three, ["vit_l"], **THIRTY)) + together,
    }


def _gpu_full() -> Parts:
    every, ours = METHODS.names(), ["ta-lora"]
    compiled = [
        job
        for cut in ("chosen+compiled", "together+compiled")
        for job in grid("paths", ours, ["vit_b", "vit_l"], (1, 4), passes=cut, **TRAINING)
    ]
    most = grid("largest", ours, ["vit_b", "vit_l"], (MOST,), passes="together")
    return {
        **_gpu(),
        "vit_h": both(grid("paths", ["ta-lora", "lora-hps", "full-hps"], ["vit_h"], **THIRTY)),
        "losses": grid("losses", ours, ["vit_b"]),
        "largest": both(most),
        "inference": both(grid("inference", [*ours, "lora-hps"], GPU_SIZES, (1, 8))),
        "relative": both(grid("relative", every, ["vit_b"], **THIRTY)),
        "loader": both(grid("loader", ours, ["vit_b", "vit_l"], (1, 4))),
        "demo": grid("demo", ours, ["nano"]),
        "methods": both(grid("paths", every, GPU_SIZES)),
        "profile": [*both(grid("profile", ours, GPU_SIZES)), *grid("harness", ours, ["vit_b"], (2,))],
        "growth": growth("vit_b"),
        "passes": both([*grid("paths", ours, GPU_SIZES, (4, 8)), *_together("vit_b", (1, 4)), *compiled]),
    }


def _together(size: str, batches: Sequence[int]) -> list[Job]:
    return grid("paths", ["ta-lora"], [size], batches, passes="together", **THIRTY)


def _adapted() -> list[str]:
    return [name for name in METHODS.names() if METHODS.get(name).merges]


def _once(parts: Parts) -> Parts:
    """Parts without the jobs that an earlier one has by the same name."""
    seen: set[str] = set()
    kept: Parts = {part: [] for part in parts}
    for part, jobs in parts.items():
        for job in jobs:
            if job.name not in seen:
                seen.add(job.name)
                kept[part].append(job)
    return {part: jobs for part, jobs in kept.items() if jobs}


def some(parts: Parts, asked: str) -> Parts:
    """The parts that "a,b" names, in their own order. Raises SpecError: there is no such part."""
    names = [name.strip() for name in asked.split(",")]
    if unknown := [name for name in names if name not in parts]:
        hint = f"{suggestion(unknown[0], parts)}; `--full` has more"
        raise SpecError(f"no part '{unknown[0]}'", where="--parts", hint=hint)
    return {part: jobs for part, jobs in parts.items() if part in names}


def rehearsed(parts: Parts) -> Parts:
    """The same jobs made small: tiny models, one round, two images at most, nothing compiled."""
    return _once({part: [_small(job) for job in jobs] for part, jobs in parts.items()})


def _small(job: Job) -> Job:
    kind, _, side = job.size.partition("@")
    passes = "+".join(word for word in job.passes.split("+") if word != "compiled")
    size = f"nano-{int(side) // 32}" if side else REHEARSED.get(kind, job.size)
    return replace(job, size=size, batch=min(job.batch, 2), passes=passes, repeats=1, fewest=1)


def chosen(parts: Parts, patterns: Sequence[str], methods: Sequence[str] = ()) -> Parts:
    """What of the parts is of one of the methods and matches a pattern ("paths-ta-lora-*"), or holds it.

    Without patterns or methods all do. Raises SpecError: nothing is left.
    """

    def wanted(job: Job) -> bool:
        named = any(fnmatch(job.name, pattern) or pattern in job.name for pattern in patterns)
        return (named or not patterns) and (job.method in methods or not methods)

    found = {part: kept for part, jobs in parts.items() if (kept := [job for job in jobs if wanted(job)])}
    if not found:
        asked = [*patterns, *methods]
        near = nearest(asked[0], [job.name for jobs in parts.values() for job in jobs])
        hint = f"did you mean '{near}'?" if near else "`--list` prints the names"
        where = "--only" if patterns else "--method"
        raise SpecError(f"no measurement matches '{', '.join(asked)}'", where=where, hint=hint)
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
