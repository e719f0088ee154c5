"""How long a cell will take: from runs like it where there are some, else from its FLOPs. And its disk.

FLOPs and bytes follow from sizes alone. They are rough on purpose: they only have to tell minutes from days.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tabench.catalog import BACKBONES, METHODS
from tabench.encoders.base import Encoder
from tabench.methods.base import named_roles
from tabench.provenance.environment import usable_cores
from tabench.spec.cell import Cell
from tabench.store.index import Known, cell_of, settings_of

CPU_FLOPS_PER_CORE = 20e9  # sustained fp32 of one core, taken for all CPUs
GPU_FLOPS = 15e12  # sustained fp32 of one data-centre GPU
BACKWARD = 2.0  # a backward pass costs about two forward passes


@dataclass(frozen=True)
class Finished:
    """A finished run that others are estimated from.

    Attributes:
        settings: Its cell without the seed, as `settings_of` writes it.
        method: Its method's name.
        wall_s: Seconds from start to record, all attempts.
    """

    settings: str
    method: str
    wall_s: float

    @classmethod
    def of(cls, cell: Cell, wall_s: float) -> Self:
        """A run of a cell."""
        return cls(settings_of(cell), cell.method.name, wall_s)


class Experience:
    """Finished runs, sorted once so that thousands of cells can be estimated from them."""

    def __init__(self, finished: Iterable[Finished]) -> None:
        self._walls: dict[str, list[float]] = {}
        self._settings: dict[str, dict[str, None]] = {}  # method to settings, each once, in order
        self._rates: dict[tuple[str, int, int], dict[str, list[float]]] = {}
        for run in finished:
            self._walls.setdefault(run.settings, []).append(run.wall_s)
            self._settings.setdefault(run.method, {})[run.settings] = None

    @classmethod
    def from_index(cls, cells: Iterable[Known]) -> Self:
        """The runs of an index whose time is known."""
        return cls(Finished(k.settings, k.method, k.wall_s) for k in cells if k.settings and k.wall_s)

    def walls(self, cell: Cell) -> list[float]:
        """Seconds of the runs that differ from a cell in the seed at most."""
        return self._walls.get(settings_of(cell), []) if self._walls else []

    def rates(self, cell: Cell, train_images: int, eval_images: int) -> list[float]:
        """Seconds per FLOP of the runs with a cell's method and backbone."""
        key = (cell.method.name, train_images, eval_images)
        if key not in self._rates:
            found: dict[str, list[float]] = {}
            for settings in self._settings.get(cell.method.name, ()):
                run = cell_of(settings, 0)
                work = cell_flops(run, train_images, eval_images)
                if work:
                    found.setdefault(run.backbone.name, []).extend(w / work for w in self._walls[settings])
            self._rates[key] = found
        return self._rates[key].get(cell.backbone.name, [])


@dataclass(frozen=True)
class Estimate:
    """Seconds a cell will take, and what the number rests on.

    Attributes:
        seconds: Wall-clock seconds from its start to its record.
        basis: "adopted" (another experiment has it), "measured" (other seeds here), "reference" (the
            shipped run), "scaled" (same method, other length) or "rough" (FLOPs over an assumed rate).
        detail: The basis in words.
    """

    seconds: float
    basis: str
    detail: str


def estimate(
    cell: Cell,
    experience: Experience,
    reference: Mapping[str, float],
    *,
    train_images: int,
    eval_images: int,
    device: str = "auto",
) -> Estimate:
    """Estimate a cell's time.

    Args:
        cell: What would run.
        experience: Finished runs in the results folder.
        reference: Cell id to seconds of the shipped reference runs.
        train_images: Images of the training split; 0 where not known yet.
        eval_images: Images of the reported split.
        device: The `--device` option.
    """
    same = experience.walls(cell)
    if same:
        return Estimate(statistics.median(same), "measured", f"median of {len(same)} finished run(s) of it")
    if cell.id in reference:
        return Estimate(reference[cell.id], "reference", "the shipped reference run of this cell")
    work = cell_flops(cell, train_images, eval_images)
    rates = experience.rates(cell, train_images, eval_images)
    if rates and work:
        return Estimate(
            work * statistics.median(rates),
            "scaled",
            f"from {len(rates)} run(s) of {cell.method.name} by FLOPs",
        )
    rate, name = flops_per_second(device)
    return Estimate(work / rate, "rough", f"{work:.2g} FLOP at an assumed {name}")


def decoder_flops(backbone: Encoder) -> float:
    """Forward FLOPs of one channel of a mask decoder: five cross attentions' token products, upscaling."""
    tokens, width = backbone.grid**2, backbone.out_chans
    attention = 5 * 2 * 2 * tokens * width * (width // 2)
    upscaling = 2 * tokens * width * width + 2 * 4 * tokens * (width // 4) * (width // 2)
    return float(attention + upscaling)


def cell_flops(cell: Cell, train_images: int, eval_images: int) -> float:
    """FLOPs of training and evaluating a cell."""
    backbone, method = BACKBONES.get(cell.backbone.name), METHODS.get(cell.method.name)
    encoders = 1 if method.sharing == "shared" else len(cell.dataset.tasks)
    image = encoders * backbone.flops() + sum(cell.dataset.channels) * decoder_flops(backbone)
    seen = cell.train.epochs * train_images
    if cell.train.max_steps:
        seen = min(seen, cell.train.max_steps * cell.train.batch_size)
    every = cell.evaluation.every
    evaluations = 1 + (cell.train.epochs // every if every else 0)
    return image * ((1 + BACKWARD) * seen + evaluations * eval_images)


def flops_per_second(device: str) -> tuple[float, str]:
    """The assumed rate and how it is called: "cuda..." or an NVIDIA device file means a GPU."""
    if device.startswith("cuda") or (device == "auto" and Path("/dev/nvidia0").exists()):
        return GPU_FLOPS, f"{GPU_FLOPS / 1e12:g} TFLOP/s"
    cores = usable_cores()
    return cores * CPU_FLOPS_PER_CORE, f"{cores} cores x {CPU_FLOPS_PER_CORE / 1e9:g} GFLOP/s"


def checkpoint_bytes(cell: Cell) -> int:
    """Largest size of a cell's checkpoint: fp32 parameters and two moments, two checkpoints at a time."""
    backbone, method = BACKBONES.get(cell.backbone.name), METHODS.get(cell.method.name)
    tasks = len(cell.dataset.tasks)
    encoder = sum(spec.inputs * spec.outputs for spec in backbone.linears())
    decoder = 62 * backbone.out_chans**2
    models = tasks if method.sharing == "per-task" else 1
    if not method.trains_encoder:
        rank = max((v for v in _ints(cell) if v > 0), default=0)
        roles = set(named_roles(cell.method.params.get("targets", "qkv")))
        chosen = [spec for spec in backbone.linears() if roles & set(spec.parts)]
        encoder = sum(rank * (spec.inputs + spec.outputs) for spec in chosen)
    finished = (models - 1) * (encoder + decoder)  # weights alone
    current = encoder + decoder * (1 if models > 1 else tasks)
    return 4 * (finished + 2 * 3 * current)


def _ints(cell: Cell) -> list[int]:
    values = list(cell.method.params.values())
    return [v for v in values if type(v) is int] + [
        i for v in values if isinstance(v, tuple) for i in v if type(i) is int
    ]
