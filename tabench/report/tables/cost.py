"""What each method costs: parameters by part, work, time, memory and energy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean
from typing import Any

from tabench.report.records import wording
from tabench.report.records.reading import Results
from tabench.report.tables.table import Column, Entry, Table, number, words
from tabench.text import bytes_text, duration

NOT_RECORDED = "not recorded"
NO_ENERGY = "not reported by this machine"
IDLE = (
    "Idle parameters require a gradient but never receive one (SAM's unused mask tokens' heads and IoU "
    "head); they are not counted as trained. One model a task (STL) counts the sum over its models."
)
WORK = (
    "FLOPs: one image through all models of a method, a multiplication with its addition counted as 2; a "
    "step is forward, backward and the regulariser; element-wise work is not counted. Latency: one image, "
    "all tasks, median and range of the repetitions after a warm-up. Images/s: an image counts once all "
    "models have seen it; evaluation includes reading and metrics. Energy: of the whole GPU, as its driver "
    "counts it."
)
OLDER = (
    "These runs are older than the measuring of FLOPs, latency, stored bytes and energy: run them again to "
    "have it."
)


@dataclass(frozen=True)
class Cost:
    """A column: its heading, where a run tells its value, and how it is written.

    Attributes:
        title: Its heading.
        place: Keys into the record's parameters, or into run.json; "cost" begins what newer runs measure.
        text: A format or a function.
        note: Place and format of a second number beside it, for example a range.
    """

    title: str
    place: tuple[str, ...]
    text: str | Callable[[float], str] = "{:,}"
    note: tuple[tuple[str, ...], Callable[[float], str]] | None = None


PARAMETERS = (
    Cost("Trained", ("trained",)),
    *(Cost(part.capitalize(), ("groups", part)) for part in ("adapters", "norms", "embeddings", "decoders")),
    Cost("Encoder", ("groups", "encoder")),
    Cost("All", ("total",)),
    Cost("Idle", ("idle",)),
    Cost("Stored", ("cost", "stored"), "{:,.0f}"),
    Cost("Stored size", ("cost", "weights_bytes"), bytes_text),
)
RUNS = (
    Cost("Training step", ("cost", "train_flops"), wording.flops),
    Cost("Inference", ("cost", "inference_flops"), wording.flops),
    Cost(
        *("Latency", ("cost", "latency_s"), wording.milliseconds),
        (("cost", "latency_spread_s"), lambda seconds: f"range {wording.milliseconds(seconds)}"),
    ),
    Cost("Training images/s", ("cost", "train_images_per_s"), "{:.3g}"),
    Cost("Evaluation images/s", ("cost", "eval_images_per_s"), "{:.3g}"),
    Cost("Wall time", ("wall_s",), duration),
    Cost("Training", ("train_s",), duration),
    Cost("Evaluation", ("eval_s",), duration),
    Cost("Peak memory", ("peak_rss_mb",), "{:,.0f} MB", (("peak_gpu_mb",), "{:,.0f} MB GPU".format)),
    Cost("Energy", ("cost", "energy_j"), wording.energy),
)


def cost_tables(results: Results) -> list[Table]:
    """Parameters of every method with a finished run; and its work, time, memory and energy."""
    methods = [method for method in results.methods if results.of(method)]
    measured = any(cell.run.get("cost") for cell in results.done)
    total = f"All runs together took {duration(total_wall(results))}."
    parameters = (
        "Parameters of each method: trained ones, all of them by part (frozen and idle included), and what a "
        "checkpoint keeps."
    )
    work = "Work, time, memory and energy, measured by the runs themselves; means over a method's runs."

    def table(name: str, title: str, caption: str, kinds: Sequence[Cost], notes: list[str]) -> Table:
        kept = [cost for cost in kinds if measured or cost.place[0] != "cost"]
        columns = [Column("Method", words=True), *(Column(cost.title) for cost in kept)]
        rows = [[words(results.title(m)), *(_entry(results, m, cost) for cost in kept)] for m in methods]
        if kinds is RUNS:
            columns.append(Column("Device", words=True))
            for row, method in zip(rows, methods, strict=True):
                devices = sorted({str(c.run["device"]) for c in results.of(method) if c.run.get("device")})
                row.append(words(", ".join(devices) or NOT_RECORDED))
        warning = wording.short_warning(results)
        return Table(name, title, caption, columns, rows, notes, warning, results.name)

    return [
        table("parameters", "Parameters", parameters, PARAMETERS, [IDLE]),
        table("cost", "Cost", work, RUNS, [WORK if measured else OLDER, total]),
    ]


def total_wall(results: Results) -> float:
    """Seconds of all runs together."""
    return sum(float(cell.run.get("wall_s") or 0) for cell in results.done)


def _entry(results: Results, method: str, cost: Cost) -> Entry:
    """A mean over a method's runs; parameters are those of its first run."""
    cells = results.of(method)
    if cost in PARAMETERS and cost.place[0] != "cost":
        return number(float(_dig(cells[0].record["parameters"], cost.place) or 0), "{:,.0f}")
    value = _mean([cell.run for cell in cells], cost.place)
    hole = NOT_RECORDED
    if cost.place[-1] == "energy_j" and any(cell.run.get("cost") for cell in cells):
        hole = NO_ENERGY
    second = _mean([cell.run for cell in cells], cost.note[0]) if cost.note else None
    note = cost.note[1](second) if cost.note and second is not None else ""
    return number(value, cost.text, note, hole=hole)


def _mean(runs: Sequence[Mapping[str, Any]], place: Sequence[str]) -> float | None:
    values = [float(value) for run in runs if (value := _dig(run, place)) is not None]
    return mean(values) if values else None


def _dig(content: Any, place: Sequence[str]) -> Any:
    for key in place:
        content = (content or {}).get(key)
    return content
