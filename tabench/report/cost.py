"""What each method costs: parameters by part, wall time, memory."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import mean
from typing import Any

from tabench.report.reading import Results

PARTS = ("adapters", "norms", "embeddings", "decoders", "encoder")


@dataclass(frozen=True)
class Cost:
    """One method's costs, means over its finished runs.

    Attributes:
        method: Row key.
        parts: Trained parameters of each part (`PARTS`).
        trained: All trained parameters.
        idle: Parameters that require a gradient but never receive one; not counted as trained.
        total: All parameters.
        wall_s: Seconds of a run from start to end, None if not recorded.
        train_s: Seconds of it in training.
        eval_s: Seconds of it in evaluation.
        peak_rss_mb: Peak resident memory in MB.
        peak_gpu_mb: Peak GPU memory in MB, None without a GPU.
        devices: Where the runs ran.
    """

    method: str
    parts: tuple[int, ...]
    trained: int
    idle: int
    total: int
    wall_s: float | None
    train_s: float | None
    eval_s: float | None
    peak_rss_mb: float | None
    peak_gpu_mb: float | None
    devices: tuple[str, ...]


def costs(results: Results) -> list[Cost]:
    """Costs of every method with a finished run, in table order."""
    found = []
    for method in results.methods:
        cells = results.of(method)
        if not cells:
            continue
        parameters, runs = cells[0].record["parameters"], [cell.run for cell in cells]
        found.append(
            Cost(
                method,
                tuple(int(parameters["groups"].get(part, 0)) for part in PARTS),
                int(parameters["trained"]),
                int(parameters["idle"]),
                int(parameters["total"]),
                _mean(runs, "wall_s"),
                _mean(runs, "train_s"),
                _mean(runs, "eval_s"),
                _mean(runs, "peak_rss_mb"),
                _mean(runs, "peak_gpu_mb"),
                tuple(sorted({str(run["device"]) for run in runs if run.get("device")})),
            )
        )
    return found


def total_wall(results: Results) -> float:
    """Seconds of all runs together."""
    return sum(float(cell.run.get("wall_s") or 0) for cell in results.done)


def _mean(runs: list[dict[str, Any]], key: str) -> float | None:
    values = [float(run[key]) for run in runs if run.get(key) is not None]
    return mean(values) if values else None
