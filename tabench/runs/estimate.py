"""How long a cell will take: from runs like it where there are some, else from its FLOPs. And its disk.

FLOPs and bytes follow from sizes alone. They are rough on purpose: they only have to tell minutes from days.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tabench.catalog import BACKBONES, METHODS
from tabench.encoders.base import Encoder
from tabench.methods.base import named_roles
from tabench.provenance.environment import usable_cores
from tabench.spec.cell import Cell
from tabench.store.index import Known, settings_of

CPU_FLOPS_PER_CORE = 20e9  # sustained fp32 of one core, taken for all CPUs
GPU_FLOPS = 15e12  # sustained fp32 of one data-centre GPU
BACKWARD = 2.0  # a backward pass costs about two forward passes


class Estimate(NamedTuple):
    """Seconds a cell will take, from its start to its record, and what the number rests on.

    `basis` is "adopted" (another experiment has it), "measured" (other seeds here), "reference" (the shipped
    run) or "rough" (FLOPs over an assumed rate).
    """

    seconds: float
    basis: str
    detail: str  # the basis in words


def walls_of(cells: Iterable[Known]) -> dict[str, list[float]]:
    """Seconds of an index's finished runs, by their cells without the seed (see `settings_of`)."""
    walls: dict[str, list[float]] = {}
    for known in cells:
        if known.settings and known.wall_s:
            walls.setdefault(known.settings, []).append(known.wall_s)
    return walls


def estimate(
    cell: Cell,
    walls: Mapping[str, Sequence[float]],
    reference: Mapping[str, float],
    images: tuple[int, int],
    device: str = "auto",
) -> Estimate:
    """Estimate a cell's time from finished runs (`walls_of`), the shipped ones by cell id, or its work.

    `images` are the numbers of images of the training split and of the reported one.
    """
    same = walls.get(settings_of(cell)) if walls else None
    if same:
        return Estimate(statistics.median(same), "measured", f"median of {len(same)} finished run(s) of it")
    if cell.id in reference:
        return Estimate(reference[cell.id], "reference", "the shipped reference run of this cell")
    work = cell_flops(cell, *images)
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
        values = cell.method.params.values()
        ranks = [i for v in values for i in (v if isinstance(v, tuple) else (v,)) if type(i) is int]
        rank = max((rank for rank in ranks if rank > 0), default=0)
        roles = set(named_roles(cell.method.params.get("targets", "qkv")))
        chosen = [spec for spec in backbone.linears() if roles & set(spec.parts)]
        encoder = sum(rank * (spec.inputs + spec.outputs) for spec in chosen)
    finished = (models - 1) * (encoder + decoder)  # weights alone
    current = encoder + decoder * (1 if models > 1 else tasks)
    return 4 * (finished + 2 * 3 * current)
