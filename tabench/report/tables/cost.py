"""What each method costs: parameters by part, work, time, memory and energy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from statistics import mean
from typing import Any

from tabench.report.records import wording
from tabench.report.records.reading import Results
from tabench.report.tables.sheet import Sheet
from tabench.text import duration

PARTS = ("adapters", "norms", "embeddings", "decoders", "encoder")
NOT_RECORDED = "not recorded"
NO_ENERGY = "not reported by this machine"
NOTE = (
    "FLOPs: one image through all models of a method, a multiplication with its addition counted as 2; a "
    "step is forward, backward and the regulariser; element-wise work is not counted. Latency: one image, "
    "all tasks, median and range of the repetitions after a warm-up. Images/s: an image counts once all "
    "models have seen it; evaluation includes reading and metrics. Energy: of the whole GPU, as its driver "
    "counts it."
)


@dataclass(frozen=True)
class Cost:
    """One method's costs, means over its finished runs; None where no run recorded it.

    Attributes:
        method: Row key.
        parts: Parameters of each part (`PARTS`), frozen and idle ones included; they sum to `total`.
        trained: All trained parameters.
        idle: Parameters that require a gradient but never receive one; not counted as trained.
        total: All parameters.
        stored: Parameters that a checkpoint keeps.
        weights_bytes: Bytes of those.
        train_flops: FLOPs of a training step of one image, all models of the cell.
        inference_flops: FLOPs of an inference of one image for all tasks.
        latency_s: Seconds of that inference, the median of a run's repetitions.
        latency_spread_s: Range of the repetitions.
        train_rate: Images a second in training, through all models.
        eval_rate: Images a second in evaluation, reading and metrics included.
        wall_s: Seconds of a run from start to end.
        train_s: Seconds of it in training.
        eval_s: Seconds of it in evaluation.
        peak_rss_mb: Peak resident memory in MB.
        peak_gpu_mb: Peak GPU memory in MB; None without a GPU.
        energy_j: Joules of the GPU as its driver counts them.
        measured: Whether a run measured its costs at all; older ones did not.
        devices: Where the runs ran.
    """

    method: str
    parts: tuple[int, ...]
    trained: int
    idle: int
    total: int
    stored: float | None
    weights_bytes: float | None
    train_flops: float | None
    inference_flops: float | None
    latency_s: float | None
    latency_spread_s: float | None
    train_rate: float | None
    eval_rate: float | None
    wall_s: float | None
    train_s: float | None
    eval_s: float | None
    peak_rss_mb: float | None
    peak_gpu_mb: float | None
    energy_j: float | None
    measured: bool
    devices: tuple[str, ...]

    @property
    def energy(self) -> str:
        """Energy as shown, or why there is none."""
        if self.energy_j is None:
            return NO_ENERGY if self.measured else NOT_RECORDED
        return energy_text(self.energy_j)


def costs(results: Results) -> list[Cost]:
    """Costs of every method with a finished run, in table order."""
    return [_cost(results, method) for method in results.methods if results.of(method)]


def total_wall(results: Results) -> float:
    """Seconds of all runs together."""
    return sum(float(cell.run.get("wall_s") or 0) for cell in results.done)


def cost_sheet(results: Results) -> Sheet:
    """The costs as a table of texts."""
    rows = [
        [
            results.title(cost.method),
            *(f"{count:,}" for count in (cost.trained, cost.idle, cost.total)),
            *(shown(value, "{:,.0f}".format) for value in (cost.stored, cost.weights_bytes)),
            *(shown(value, flops_text) for value in (cost.train_flops, cost.inference_flops)),
            *(shown(value, milliseconds) for value in (cost.latency_s, cost.latency_spread_s)),
            *(shown(value, rate_text) for value in (cost.train_rate, cost.eval_rate)),
            shown(cost.wall_s, duration),
            shown(cost.peak_rss_mb, "{:,.0f} MB".format),
            "–" if cost.peak_gpu_mb is None else f"{cost.peak_gpu_mb:,.0f} MB",
            cost.energy,
            ", ".join(cost.devices) or NOT_RECORDED,
        ]
        for cost in costs(results)
    ]
    headings = (
        *(
            "Method",
            "Trained",
            "Idle",
            "All",
            "Stored",
            "Stored bytes",
            "FLOPs of a step",
            "FLOPs of an inference",
        ),
        *("Latency", "Latency range", "Training images/s", "Evaluation images/s", "Wall time", "Peak memory"),
        *("Peak GPU memory", "Energy", "Device"),
    )
    caption = f"Cost of each method, means over its runs. {wording.short_warning(results)}".strip()
    return Sheet("cost", "Cost", caption, headings, rows, [NOTE])


def shown(value: float | None, text: Callable[[float], str]) -> str:
    """A value's text, or that it was not recorded."""
    return NOT_RECORDED if value is None else text(value)


def flops_text(flops: float) -> str:
    """FLOPs: "2.37 GFLOP"."""
    for scale, unit in ((1e15, "PFLOP"), (1e12, "TFLOP"), (1e9, "GFLOP"), (1e6, "MFLOP")):
        if flops >= scale:
            return f"{flops / scale:.3g} {unit}"
    return f"{flops:.0f} FLOP"


def milliseconds(seconds: float) -> str:
    """A short time: "82.8 ms", "3.21 s"."""
    return f"{seconds:.3g} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"


def rate_text(rate: float) -> str:
    """Images a second: "0.64 /s"."""
    return f"{rate:.3g} /s"


def energy_text(joules: float) -> str:
    """Energy: "840 J", "12.3 kJ", "1.2 kWh"."""
    if joules >= 3.6e6:
        return f"{joules / 3.6e6:.1f} kWh"
    return f"{joules / 1000:.1f} kJ" if joules >= 1000 else f"{joules:.0f} J"


def _cost(results: Results, method: str) -> Cost:
    cells = results.of(method)
    parameters, runs = cells[0].record["parameters"], [cell.run for cell in cells]
    measured = [dict(run.get("cost") or {}) for run in runs]
    return Cost(
        method=method,
        parts=tuple(int(parameters["groups"].get(part, 0)) for part in PARTS),
        trained=int(parameters["trained"]),
        idle=int(parameters["idle"]),
        total=int(parameters["total"]),
        stored=_mean(measured, "stored"),
        weights_bytes=_mean(measured, "weights_bytes"),
        train_flops=_mean(measured, "train_flops"),
        inference_flops=_mean(measured, "inference_flops"),
        latency_s=_mean(measured, "latency_s"),
        latency_spread_s=_mean(measured, "latency_spread_s"),
        train_rate=_mean(measured, "train_images_per_s"),
        eval_rate=_mean(measured, "eval_images_per_s"),
        wall_s=_mean(runs, "wall_s"),
        train_s=_mean(runs, "train_s"),
        eval_s=_mean(runs, "eval_s"),
        peak_rss_mb=_mean(runs, "peak_rss_mb"),
        peak_gpu_mb=_mean(runs, "peak_gpu_mb"),
        energy_j=_mean(measured, "energy_j"),
        measured=any(measured),
        devices=tuple(sorted({str(run["device"]) for run in runs if run.get("device")})),
    )


def _mean(runs: Iterable[dict[str, Any]], key: str) -> float | None:
    values = [float(run[key]) for run in runs if run.get(key) is not None]
    return mean(values) if values else None
