"""Analytic cost of a cell, from sizes alone. Rough on purpose: it only has to tell minutes from days."""

from __future__ import annotations

from pathlib import Path

from tabench.catalog import BACKBONES, METHODS
from tabench.encoders.base import Encoder
from tabench.methods.base import named_roles
from tabench.provenance.environment import usable_cores
from tabench.spec.cell import Cell

CPU_FLOPS_PER_CORE = 20e9  # sustained fp32 of one core, taken for all CPUs
GPU_FLOPS = 15e12  # sustained fp32 of one data-centre GPU
BACKWARD = 2.0  # a backward pass costs about two forward passes


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
