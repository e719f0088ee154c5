"""Jobs: what is measured, where, under which name it is kept, and about how long it takes. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import tabench
from tabench.bench.sizes import Size, find_size
from tabench.catalog import METHODS
from tabench.methods.base import Value
from tabench.runs.estimate import decoder_flops

Kind = Literal["paths", "inference", "harness", "relative", "loader", "profile"]
NYUV2 = (("segmentation", 13), ("depth", 1), ("normals", 3))
PARTS: Mapping[Kind, tuple[str, ...]] = {
    "paths": ("time", "memory-plain", "memory-fast"),
    "inference": ("time", "memory-bare", "memory-factored", "memory-merged"),
    "harness": ("time",),
    "relative": ("time",),
    "loader": ("time",),
    "profile": ("time",),
}
HARNESS_STEPS = 20  # of each loop that kind "harness" times
LOADED_IMAGES = 8  # at least so many lie in the folder that kind "loader" reads
_RATE = {"cpu": 4.5e10, "cuda": 2e13}  # FLOP/s reached, by a thread or a device
_START = 1.5  # seconds a process takes to start, build its models and end
_FAST = 0.5  # time of the fast path, of the plain one's
# Folders whose code is measured. This one is not: how it measures has a version (`BENCH_VERSION`), so that an
# edit of its pages, suites or command leaves every figure valid.
MEASURED = ("encoders", "methods", "balancing", "tasks", "engine")


@dataclass(frozen=True)
class Job:
    """One measurement.

    Kind "paths" compares the plain and the fast path in training steps and evaluation; "inference" compares
    factored and merged models with SAM's bare modules; "harness" compares a bare loop with the harness's;
    "relative" compares a method's training step with LoRA-HPS's; "loader" compares steps on images from a
    folder with steps on images that are there; "profile" tells where a training step's time goes.
    """

    kind: Kind
    method: str  # registry name
    size: str  # see `find_size`
    batch: int = 1  # images a step
    precision: Literal["fp32", "bf16"] = "fp32"  # bf16 is under autocast
    tasks: tuple[tuple[str, int], ...] = NYUV2  # (kind, channels) of each task; a kind may come again
    # How the fast path's training steps are cut: "chosen" as the harness does, or "together" or "apart" for
    # the tasks; "+recompute" and "+compiled" add activation checkpointing and torch.compile.
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


def code_fingerprint() -> str:
    """First 16 hex digits of the sha256 of the code that is measured: a change makes old figures stale."""
    root = Path(tabench.__file__).parent
    digest = hashlib.sha256()
    for folder in MEASURED:
        for path in sorted((root / folder).rglob("*.py")):
            digest.update(f"{path.relative_to(root).as_posix()}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


def seconds(job: Job, place: Place) -> float:
    """A rough guess of all parts of a job."""
    cuda = place.device.startswith("cuda")
    rate = _RATE["cuda"] if cuda else _RATE["cpu"] * place.threads
    method = METHODS.get(job.method)
    passes = 1 if method.sharing == "shared" else len(job.tasks)
    channels = sum(count for _, count in job.tasks)
    encoder, decoder = job.where.backbone.flops(), decoder_flops(job.where.backbone)
    forward = job.batch * (passes * encoder + channels * decoder) / rate
    step = forward * (3.0 if method.trains_encoder else 2.3)
    if job.kind == "harness":
        return _START + 2 * 3 * HARNESS_STEPS * step * _FAST
    if job.kind == "relative":
        other = job.batch * (encoder + channels * decoder) / rate * 3.0  # LoRA-HPS has one pass for all tasks
        both = (step + other) * _FAST
        return _START + both * (2 + min(job.repeats, max(job.fewest, job.budget / both)))
    if job.kind == "loader":
        round_ = 2 * loader_steps(job, place) * step * _FAST
        return _START + round_ * (1 + min(job.repeats, max(job.fewest, job.budget / round_)))
    if job.kind == "profile":
        return _START + 2.5 * (1 + _FAST) * step
    if job.kind == "inference":
        return 4 * _START + 1.5 * (1 + 2 * _FAST) * forward * (2 + _rounds(job, forward))
    each = {"train": step, "evaluate": forward}
    timed = sum((1 + _FAST) * each[work] * (1 + _rounds(job, each[work])) for work in job.works)
    compared = (1 + _FAST) * (step + forward)
    memory = (1 + _FAST) * sum(each[work] for work in job.works)
    return 3 * _START + timed + compared + memory


def loader_steps(job: Job, place: Place) -> int:
    """Steps of a round that kind "loader" times: few where one takes minutes."""
    return 2 if place.device == "cpu" and not job.where.backbone.small else HARNESS_STEPS


def _rounds(job: Job, once: float) -> float:
    pair = once * (1 + _FAST)
    return min(job.repeats, max(job.fewest, job.budget / pair if pair else job.repeats))
