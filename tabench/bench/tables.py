"""The benchmark's tables: the two paths in a training step and in evaluation."""

from __future__ import annotations

from typing import Any

from tabench.bench.reading import Json, Machine, Measurement, title_of
from tabench.report.records.wording import flops, milliseconds
from tabench.report.tables.table import Column, Entry, Table, number, words

TITLES = {"train": "Training step", "evaluate": "Evaluation", "growth": "Growth of a training step"}
AXES = {
    "tasks": "tasks",
    "rank": "rank (p = q)",
    "channels": "channels of segmentation",
    "image": "side of the input (pixels)",
}
RANDOM = "Random weights and images."
_WHO = (
    *(Column("Method", words=True), Column("Size", words=True)),
    *(Column("Images"), Column("Run as", words=True)),
)
_STEPS = {
    "train": "forward, loss, backward and Adam, all tasks of all images",
    "evaluate": "forward, activation and metrics of all protocols, all tasks of all images",
    "growth": "one thing grows, everything else is fixed",
}
_CUT = (
    "The plain path is one pass. The fast path cuts a step as the harness does: all images and tasks "
    "together up to inputs of 256 pixels, above it one image and one task after the other. Where a "
    "row says “together”, all images and tasks go in one pass; “apart”: one task after the other."
)


def tables(machine: Machine) -> list[Table]:
    """Every table that a machine has figures for."""
    return [table for name in TITLES if (table := _paths(machine, name)).rows]


def _group(group: str, *titles: str) -> list[Column]:
    return [Column(title, group=group) for title in titles]


def _paths(machine: Machine, name: str) -> Table:
    curve = name == "growth"
    work = "train" if curve else name
    columns = [
        *([Column("What grows", words=True), Column("To")] if curve else []),
        *(*_WHO, *_group("Time", "plain", "fast", "plain / fast")),
        *_group("Processor time", "plain / fast"),
        *_group("Peak memory over base", "plain", "fast", "fast / plain"),
        *(*_group("FLOPs", "plain", "fast"), *_group("FLOP/s", "plain", "fast")),
        *(*_group("Largest difference", "outputs", "gradients"), Column("Rounds")),
    ]
    measured = [m for m in machine.paths(curve=curve) if work in m.parts["time"]]
    if curve:
        measured.sort(key=lambda m: (list(AXES).index(m.job["axis"]), m.job["value"]))
    rows = [
        [
            *([words(AXES[m.job["axis"]]), number(int(m.job["value"]), "{}")] if curve else []),
            *_who(m),
            *_two_paths(m, work),
        ]
        for m in measured
    ]
    caption = (
        f"{TITLES[name]}: {_STEPS[name]}. Medians of rounds in which the two paths alternate; small: "
        "quartiles of a time, and the lowest and highest ratio of a round."
    )
    return Table(name, TITLES[name], caption, columns, rows, (_CUT,), RANDOM, fits=False)


def _two_paths(m: Measurement, work: str) -> list[Entry]:
    figures, ways = m.parts["time"][work], ("plain", "fast")
    apart, ratio = m.parts["time"].get("agreement") or {}, figures.get("ratio") or {}
    rounds = [len(figures[way]["wall_s"]) for way in ways if "wall_s" in figures[way]]
    spread = ""
    if ratio and ratio["lowest"] < ratio["highest"]:
        spread = f"{ratio['lowest']:.2f} to {ratio['highest']:.2f}"
    return [
        *(_time(figures[way]) for way in ways),
        number(ratio.get("of_medians"), "{:.2f}", spread),
        number(ratio.get("of_cpu"), "{:.2f}"),
        *(number(m.memory(way, work), "{:,.0f} MB") for way in ways),
        number(m.memory_share(work), "{:.2f}"),
        *(number(figures["flops"].get(way), flops) for way in ways),
        *(_rate(figures["flops"].get(way), figures[way], lambda r: f"{flops(r)}/s") for way in ways),
        *(number(apart.get(key), "{:.1e}") for key in ("outputs", "gradients")),
        number(min(rounds, default=None), "{}"),
    ]


def _who(m: Measurement) -> list[Entry]:
    who = words(title_of(str(m.job["method"]))), words(str(m.size["name"]))
    return [*who, number(int(m.job["batch"]), "{}"), words(m.run_as)]


def _time(timed: Json) -> Entry:
    if "error" in timed:
        return words(str(timed["error"]))
    median, low, high = (float(timed[key]) for key in ("median_s", "q1_s", "q3_s"))
    return number(median, milliseconds, f"{milliseconds(low)} to {milliseconds(high)}" if low < high else "")


def _rate(count: int | None, timed: Json, style: Any) -> Entry:
    """What is done in a second, by the median."""
    if count is None or "median_s" not in timed:
        return number(None, style)
    return number(count / float(timed["median_s"]), style)
