"""Jobs: what is measured, where, under which name it is kept, and about how long it takes. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import tabench
from tabench.bench.sizes import Size, find_size
from tabench.catalog import METHODS
from tabench.methods.base import Value
from tabench.runs.estimate import decoder_flops

Kind = Literal[
    "paths",
    "inference",
    "harness",
    "relative",
    "loader",
    "profile",
    "losses",
    "largest",
    "tests",
    "determinism",
    "demo",
]
NYUV2 = (("segmentation", 13), ("depth", 1), ("normals", 3))
PARTS: Mapping[Kind, tuple[str, ...]] = {
    "paths": ("time", "memory-plain", "memory-fast"),
    "inference": ("time", "memory-bare", "memory-factored", "memory-merged"),
    "harness": ("time",),
    "relative": ("time",),
    "loader": ("time",),
    "profile": ("time",),
    **dict.fromkeys(("losses", "largest", "tests", "determinism", "demo"), ("time",)),
}
# What holds or does not, with seconds that it takes. Their jobs name the demo's model, which most of them
# run.
CHECKS: Mapping[str, float] = {"tests": 90.0, "determinism": 60.0, "demo": 300.0}
HARNESS_STEPS = 20  # of each loop that kind "harness" times
LOADED_IMAGES = 8  # at least so many lie in the folder that kind "loader" reads
LOSS_STEPS = 200  # of each curve that kind "losses" compares
# FLOP/s reached by the plain path, on a thread or a device. Nobody has timed it on a GPU yet.
_RATE = {"cpu": 4.5e10, "cuda fp32": 3e13, "cuda bf16": 1.2e14}
_START = {"cpu": 1.5, "cuda": 8.0}  # seconds a process takes to start, build its models and end
_COMPILING = 60.0  # seconds that kernels take to be compiled for a GPU
_FAST = 0.5  # time of the fast path, of the plain one's
# Folders whose code is measured. This one is not: how it measures has a version (`BENCH_VERSION`), so that an
# edit of its pages, suites or command leaves every figure valid.
MEASURED = ("encoders", "methods", "balancing", "tasks", "engine")
CHECKED = (".", "../tests/gpu")  # of checks: the whole package, and the tests that one of them runs


@dataclass(frozen=True)
class Job:
    """One measurement.

    Kind "paths" compares the plain and the fast path in training steps and evaluation; "inference" compares
    factored and merged models with SAM's bare modules; "harness" compares a bare loop with the harness's;
    "relative" compares a method's training step with LoRA-HPS's; "loader" compares steps on images from a
    folder with steps on images that are there; "profile" tells where a training step's time goes; "losses"
    compares curves of fp32, TF32 and bf16; "largest" looks for the most images of a step. "tests",
    "determinism" and "demo" are checks of the whole (`CHECKS`).
    """

    kind: Kind
    method: str  # registry name
    size: str  # see `find_size`
    batch: int = 1  # images a step
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16 is under autocast
    tasks: tuple[tuple[str, int], ...] = NYUV2  # (kind, channels) of each task; a kind may come again
    # How the fast path's training steps are cut: "chosen" as the harness does, or "together" or "apart" for
    # the tasks; "+recompute" and "+compiled" add activation checkpointing and torch.compile; with "+varying"
    # two runs may differ in the last digits, as with train.deterministic = false.
    passes: str = "chosen"
    params: Mapping[str, Value] = field(default_factory=dict)  # that differ from the method's defaults
    works: tuple[str, ...] = ("train", "evaluate")  # of kind "paths": what is timed
    axis: str = ""  # of a growth curve: what varies ("tasks", "rank", "channels", "image")
    value: int = 0  # of a growth curve: where on the axis
    repeats: int = 5  # rounds at most
    fewest: int = 3  # rounds at least
    budget: float = 15.0  # seconds of a work after which `fewest` rounds are enough

    @property
    def name(self) -> str:
        """File stem and what --only looks at: "paths-ta-lora-b12-512-n4", "curve-rank-64-ta-lora-nano"."""
        if self.kind in CHECKS:
            return self.kind
        size = self.size.replace("@", "-")
        if self.axis:
            place = "" if self.axis == "image" else f"-{size}"
            return f"curve-{self.axis}-{self.value:03d}-{self.method}{place}{self._precision}"
        passes = "" if self.passes == "chosen" else f"-{self.passes.removeprefix('chosen+')}"
        return f"{self.kind}-{self.method}-{size}-n{self.batch}{self._precision}{passes}"

    @property
    def _precision(self) -> str:
        return "" if self.precision == "fp32" else f"-{self.precision}"

    @property
    def task_names(self) -> tuple[str, ...]:
        """Names of the tasks: the kind, from its second time on with a number."""
        kinds = [kind for kind, _ in self.tasks]
        return tuple(
            kind if kinds[:at].count(kind) == 0 else f"{kind}-{kinds[:at].count(kind) + 1}"
            for at, kind in enumerate(kinds)
        )

    def to_json(self) -> dict[str, Any]:
        """JSON values; equal jobs give equal values."""
        return asdict(self) | {
            "tasks": [list(task) for task in self.tasks],
            "params": {k: list(v) if isinstance(v, tuple) else v for k, v in self.params.items()},
            "works": list(self.works),
        }

    @property
    def where(self) -> Size:
        """The size, looked up."""
        return find_size(self.size)


@dataclass(frozen=True)
class Place:
    """Where jobs run."""

    device: str  # "cpu", "cuda" or "cuda:1"
    threads: int  # of the CPU
    rehearsal: bool = False  # whether jobs are made small, to try the command and not to measure


def parts_of(job: Job, place: Place) -> tuple[str, ...]:
    """What is measured of a job, each in a process of its own.

    CUDA's allocator knows each path's peak, whatever else the process did: there one process tells time and
    memory of both paths, and a large model is built once instead of three times.
    """
    alone = job.kind == "paths" and (place.rehearsal or place.device.startswith("cuda"))
    return PARTS[job.kind][:1] if alone else PARTS[job.kind]


def code_fingerprint(folders: Iterable[str] = MEASURED) -> str:
    """First 16 hex digits of the sha256 of the code that is measured: a change makes old figures stale."""
    root = Path(tabench.__file__).parent
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted((root / folder).rglob("*.py")):
            name = f"{folder}/{path.relative_to(root / folder).as_posix()}"
            digest.update(f"{name}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def seconds(job: Job, place: Place) -> float:
    """A rough guess of all parts of a job."""
    if job.kind in CHECKS:
        return CHECKS[job.kind] / (4 if place.rehearsal else 1)
    cuda = place.device.startswith("cuda")
    rate = _RATE[f"cuda {job.precision}"] if cuda else _RATE["cpu"] * place.threads
    start = len(parts_of(job, place)) * _START["cuda" if cuda else "cpu"]
    if cuda and {"compiled", "varying"} & set(job.passes.split("+")):
        start += _COMPILING
    method = METHODS.get(job.method)
    passes = 1 if method.sharing == "shared" else len(job.tasks)
    channels = sum(count for _, count in job.tasks)
    encoder, decoder = job.where.backbone.flops(), decoder_flops(job.where.backbone)
    forward = job.batch * (passes * encoder + channels * decoder) / rate
    step = forward * (3.0 if method.trains_encoder else 2.3)
    if job.kind == "harness":
        return start + 2 * 3 * HARNESS_STEPS * step * _FAST
    if job.kind == "relative":  # LoRA-HPS has one pass for all tasks
        pair = step + 3.0 * job.batch * (encoder + channels * decoder) / rate
        return start + pair * _FAST * (2 + _rounds(job, pair * _FAST / (1 + _FAST)))
    if job.kind == "loader":
        pair = 2 * loader_steps(job, place) * step
        return start + pair * _FAST * (1 + _rounds(job, pair * _FAST / (1 + _FAST)))
    if job.kind == "profile":
        return start + 2.5 * (1 + _FAST) * step
    if job.kind == "losses":
        return start + 4 * loss_steps(place) * step * _FAST
    if job.kind == "largest":  # a dozen numbers of images up to the most
        return start + 12 * (1 + _FAST) * step / 4
    if job.kind == "inference":
        return start + 1.5 * (1 + 2 * _FAST) * forward * (2 + _rounds(job, forward))
    each = {"train": step, "evaluate": forward}
    timed = sum((1 + _FAST) * each[work] * (1 + _rounds(job, each[work])) for work in job.works)
    compared = (1 + _FAST) * (step + forward)
    memory = (1 + _FAST) * sum(each[work] for work in job.works)
    return start + timed + compared + memory


def loss_steps(place: Place) -> int:
    """Steps of each curve that kind "losses" compares."""
    return 4 if place.rehearsal else LOSS_STEPS


def loader_steps(job: Job, place: Place) -> int:
    """Steps of a round that kind "loader" times: few where one takes minutes."""
    slow = place.device == "cpu" and not job.where.backbone.small
    return 2 if slow or place.rehearsal else HARNESS_STEPS


def _rounds(job: Job, once: float) -> float:
    pair = once * (1 + _FAST)
    return min(job.repeats, max(job.fewest, job.budget / pair if pair else job.repeats))
