"""How long a cell will take: from runs like it where there are some, else from its FLOPs."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tabench.runs.cost import cell_flops, flops_per_second
from tabench.spec.cell import Cell


@dataclass(frozen=True)
class Finished:
    """A finished run that others are estimated from.

    Attributes:
        cell: Its cell.
        wall_s: Seconds from start to record, all attempts.
    """

    cell: Cell
    wall_s: float


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
    finished: Iterable[Finished],
    reference: Mapping[str, float],
    *,
    train_images: int,
    eval_images: int,
    device: str = "auto",
) -> Estimate:
    """Estimate a cell's time.

    Args:
        cell: What would run.
        finished: Finished runs in the results folder.
        reference: Cell id to seconds of the shipped reference runs.
        train_images: Images of the training split; 0 where not known yet.
        eval_images: Images of the reported split.
        device: The `--device` option.
    """
    runs = list(finished)
    same = [run.wall_s for run in runs if _apart_from_seed(run.cell) == _apart_from_seed(cell)]
    if same:
        return Estimate(statistics.median(same), "measured", f"median of {len(same)} finished run(s) of it")
    if cell.id in reference:
        return Estimate(reference[cell.id], "reference", "the shipped reference run of this cell")
    work = cell_flops(cell, train_images, eval_images)
    alike = [
        run.wall_s * work / cell_flops(run.cell, train_images, eval_images)
        for run in runs
        if run.cell.method.name == cell.method.name and run.cell.backbone.name == cell.backbone.name
    ]
    if alike and work:
        return Estimate(
            statistics.median(alike), "scaled", f"from {len(alike)} run(s) of {cell.method.name} by FLOPs"
        )
    rate, name = flops_per_second(device)
    return Estimate(work / rate, "rough", f"{work:.2g} FLOP at an assumed {name}")


def _apart_from_seed(cell: Cell) -> dict[str, Any]:
    return cell.model_dump(mode="json", exclude={"seed"})


def duration(seconds: float) -> str:
    """Seconds for people: "45 s", "12 min", "3.5 h", "2.1 d"."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} min"
    if seconds < 36 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} d"


def size(count: float) -> str:
    """Bytes for people: "3.2 MB"."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
