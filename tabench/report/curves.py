"""Loss and metric curves over epochs: a line a method, a band from the lowest to the highest seed."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import zip_longest
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tabench.report import style, wording
from tabench.report.reading import Results

BAND = "Lines are means over seeds, bands reach from the lowest to the highest seed."


def loss_frame(results: Results) -> pd.DataFrame:
    """Training loss of each task: columns panel, method, seed, epoch, value."""
    tasks = results.first["cell"]["dataset"]["tasks"]
    return _mean_per_epoch(
        (term, cell.method, cell.seed, step["epoch"], value)
        for cell in results.done
        for step in cell.record["curves"]["train"]
        for term, value in step["terms"].items()
        if term in tasks and value is not None
    )


def metric_frame(results: Results, protocol: str) -> pd.DataFrame:
    """Metrics on the evaluation split: columns panel ("task.key"), method, seed, epoch, value."""
    return _mean_per_epoch(
        (f"{point['task']}.{point['key']}", cell.method, cell.seed, point["epoch"], point["value"])
        for cell in results.done
        for point in cell.record["curves"]["eval"]
        if point["protocol"] == protocol and point["value"] is not None
    )


def draw_losses(results: Results, frame: pd.DataFrame) -> Figure:
    """One panel a task.

    Args:
        results: Names tasks and methods.
        frame: What `loss_frame` returned.
    """
    tasks = results.first["cell"]["dataset"]["tasks"]
    return _panels(
        results, frame, {task: f"{task.replace('_', ' ').capitalize()} training loss ↓" for task in tasks}
    )


def draw_metrics(results: Results, frame: pd.DataFrame, protocol: str) -> Figure:
    """One panel a metric.

    Args:
        results: Names metrics and methods.
        frame: What `metric_frame` returned for this protocol.
        protocol: "paper" or "pixel".
    """
    titles = {
        f"{m['task']}.{m['key']}": f"{m['task'].replace('_', ' ').capitalize()}: {m['title']}"
        f"{' (' + m['unit'] + ')' if m['unit'] else ''} {wording.ARROWS[m['better']]}"
        for m in results.first["metrics"]
        if m["protocol"] == protocol
    }
    return _panels(results, frame, titles)


def _mean_per_epoch(lines: Iterable[tuple[object, ...]]) -> pd.DataFrame:
    frame = pd.DataFrame(list(lines), columns=["panel", "method", "seed", "epoch", "value"])
    keys = ["panel", "method", "seed", "epoch"]
    return frame.groupby(keys, sort=False)["value"].mean().reset_index()


def _panels(results: Results, frame: pd.DataFrame, titles: dict[str, str]) -> Figure:
    over_seeds = frame.groupby(["panel", "method", "epoch"])["value"].agg(["mean", "min", "max"])
    lines = dict(list(over_seeds.groupby(["panel", "method"])))
    present = [panel for panel in titles if any((panel, method) in lines for method in results.methods)]
    columns = 3 if len(present) > 2 else len(present)
    rows = -(-len(present) // columns)
    figure = Figure(figsize=(9.6, 2.35 * rows + 0.5))
    grid = figure.subplots(rows, columns, squeeze=False).flat
    colours = style.colours(results.methods)
    for axes, panel in zip_longest(grid, present):
        if panel is None:
            axes.set_visible(False)
            continue
        axes.set_title(titles[panel])
        for method in results.methods:
            if (panel, method) in lines:
                mine = lines[panel, method].droplevel(["panel", "method"])
                _line(axes, mine, results.title(method), colours[method], style.marker(method))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
        axes.set_xlabel("epoch")
    style.legend_below(figure)
    return figure


def _line(axes: Axes, over_seeds: pd.DataFrame, label: str, colour: Any, mark: str) -> None:
    """Draw a method: columns mean, min and max by epoch."""
    epochs = over_seeds.index.to_numpy()
    mean, low, high = (over_seeds[name].to_numpy() for name in ("mean", "min", "max"))
    axes.fill_between(epochs, low, high, color=colour, alpha=0.16, linewidth=0)
    axes.plot(epochs, mean, color=colour, label=label, marker=mark, markersize=3,
              markevery=max(1, len(epochs) // 8))  # fmt: skip
