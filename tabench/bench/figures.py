"""The benchmark's figures: speed and memory at each size, and how cost grows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tabench.bench.reading import Machine, Measurement, title_of
from tabench.report.figures import style

AXES = {
    "tasks": "tasks",
    "rank": "rank (p = q)",
    "channels": "channels of segmentation",
    "image": "side of the input (pixels)",
}
_WAYS = {"plain": ("#8A8A8A", "s", "plain path"), "fast": ("#D55E00", "o", "fast path")}
GROWTH = (
    "A training step of TA-LoRA over the number of tasks, the rank, the channels of one task and the side of "
    "the input, everything else fixed: medians with quartiles, and peak memory over what the process held "
    "before."
)
GAIN = (
    "Training step: how many times faster the fast path is than the plain one (above 1 it is faster; "
    "whiskers reach from the slowest to the fastest round), and its share of the plain path’s peak "
    "memory (below 1 it needs less)."
)


def gains(machine: Machine) -> list[Measurement]:
    """Measurements with a ratio of training steps, in rows of the figure."""
    return [m for m in machine.of("paths") if m.parts["time"].get("train", {}).get("ratio") is not None]


def draw_gain(machine: Machine) -> Figure:
    """A row a measurement: speed on the left, memory on the right."""
    rows = gains(machine)
    figure = Figure(figsize=(9.6, 0.24 * len(rows) + 1.0))
    left, right = figure.subplots(1, 2, sharey=True)
    colours = style.colours(list(dict.fromkeys(str(m.job["method"]) for m in rows)))
    for row, m in enumerate(rows):
        method, ratio = str(m.job["method"]), m.parts["time"]["train"]["ratio"]
        look = {"color": colours[method], "marker": style.marker(method), "markersize": 5}
        left.plot([ratio["lowest"], ratio["highest"]], [row, row], color=colours[method], linewidth=1)
        left.plot([ratio["of_medians"]], [row], linestyle="", **look)
        if (share := m.memory_share("train")) is not None:
            right.plot([share], [row], linestyle="", **look)
    left.set_yticks(range(len(rows)), [_label(m) for m in rows])
    left.set_ylim(len(rows) - 0.5, -0.5)
    left.set_xlim(0, max(left.get_xlim()[1], 1.1))
    right.set_xlim(0, max(right.get_xlim()[1], 1.1))
    for axes in (left, right):
        axes.axvline(1, color="#8A8A8A", linewidth=0.8, linestyle="--")
    left.set_xlabel("time, plain over fast")
    right.set_xlabel("peak memory, fast over plain")
    return figure


def axes_of(machine: Machine) -> list[str]:
    """The growth curves that have two points at least."""
    points = [str(m.job["axis"]) for m in machine.of("paths", curve=True)]
    return [axis for axis in AXES if points.count(axis) > 1]


def draw_growth(machine: Machine) -> Figure:
    """Time above, memory below; a column an axis."""
    chosen = axes_of(machine)
    figure = Figure(figsize=(9.6, 4.6))
    grid = figure.subplots(2, len(chosen), squeeze=False)
    for column, axis in enumerate(chosen):
        points = sorted(
            (m for m in machine.of("paths", curve=True) if m.job["axis"] == axis),
            key=lambda m: int(m.job["value"]),
        )
        time, memory = grid[0][column], grid[1][column]
        for way, (colour, mark, label) in _WAYS.items():
            _lines(time, memory, points, way, {"colour": colour, "marker": mark, "label": label})
        for axes in (time, memory):
            axes.set_ylim(bottom=0)
            style.whole_numbers(axes, 5)
        memory.set_xlabel(AXES[axis])
    grid[0][0].set_ylabel("training step (s)")
    grid[1][0].set_ylabel("peak memory over base (MB)")
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2)
    return figure


def _lines(time: Axes, memory: Axes, points: Sequence[Measurement], way: str, look: Any) -> None:
    timed = [(int(m.job["value"]), m.parts["time"]["train"][way]) for m in points]
    timed = [(x, figures) for x, figures in timed if "median_s" in figures]
    middle, *band = ([figures[key] for _, figures in timed] for key in ("median_s", "q1_s", "q3_s"))
    style.line(time, [x for x, _ in timed], middle, band=band, **look)
    found = [(int(m.job["value"]), m.memory(way, "train")) for m in points]
    kept = [(x, value) for x, value in found if value is not None]
    style.line(memory, [x for x, _ in kept], [value for _, value in kept], **look)


def _label(m: Measurement) -> str:
    how = "" if m.run_as == "fp32" else f", {m.run_as}"
    return f"{title_of(str(m.job['method']))}, {m.size['name']}, {m.job['batch']} img{how}"
