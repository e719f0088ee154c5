"""Loss and metric curves over epochs: a line a method, a band from the lowest to the highest seed."""

from __future__ import annotations

from array import array
from itertools import zip_longest
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tabench.report.figures import style
from tabench.report.records import wording
from tabench.report.records.reading import Results

BAND = "Lines are means over seeds, bands reach from the lowest to the highest seed."


def curve_frames(results: Results, protocol: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Training losses of each task, and a protocol's metrics on the evaluation split, over epochs.

    Returns:
        Two frames with the columns panel (a task; "task.key"), method, epoch, and the mean, min and max over
        seeds of a seed's mean in that epoch. A method's runs are read again, one method after the other.
    """
    tasks = results.first["cell"]["dataset"]["tasks"]
    losses, metrics = [], []
    for method in results.methods:
        terms, points = _Lines(), _Lines()
        for cell in results.of(method):
            curves = cell.whole()["curves"]
            for step in curves["train"]:
                for term, value in step["terms"].items():
                    if term in tasks and value is not None:
                        terms.add(term, cell.seed, step["epoch"], value)
            for point in curves["eval"]:
                if point["protocol"] == protocol and point["value"] is not None:
                    name = f"{point['task']}.{point['key']}"
                    points.add(name, cell.seed, point["epoch"], point["value"])
        losses.append(terms.over_seeds(method))
        metrics.append(points.over_seeds(method))
    return pd.concat(losses, ignore_index=True), pd.concat(metrics, ignore_index=True)


class _Lines:
    """Values of a method's curves, eight bytes a number: a long sweep has millions of them."""

    def __init__(self) -> None:
        self.panels: dict[str, int] = {}
        self.columns = (array("l"), array("l"), array("l"), array("d"))

    def add(self, panel: str, seed: int | None, epoch: int, value: float) -> None:
        """Take a value."""
        numbers, seeds, epochs, values = self.columns
        numbers.append(self.panels.setdefault(panel, len(self.panels)))
        seeds.append(seed or 0)
        epochs.append(epoch)
        values.append(value)

    def over_seeds(self, method: str) -> pd.DataFrame:
        """Mean of each epoch's values of a seed, then mean, min and max over seeds."""
        names = ["panel", "seed", "epoch", "value"]
        frame = pd.DataFrame({n: np.asarray(c) for n, c in zip(names, self.columns, strict=True)})
        means = frame.groupby(names[:3], sort=False)["value"].mean().reset_index()
        found = means.groupby(["panel", "epoch"])["value"].agg(["mean", "min", "max"]).reset_index()
        found.insert(1, "method", method)
        found["panel"] = found["panel"].map(dict(enumerate(self.panels)))
        return found


def draw_losses(results: Results, frame: pd.DataFrame) -> Figure:
    """One panel a task.

    Args:
        results: Names tasks and methods.
        frame: The first that `curve_frames` returned.
    """
    tasks = results.first["cell"]["dataset"]["tasks"]
    return _panels(
        results, frame, {task: f"{task.replace('_', ' ').capitalize()} training loss ↓" for task in tasks}
    )


def draw_metrics(results: Results, frame: pd.DataFrame, protocol: str) -> Figure:
    """One panel a metric.

    Args:
        results: Names metrics and methods.
        frame: The second that `curve_frames` returned for this protocol.
        protocol: "paper" or "pixel".
    """
    titles = {
        f"{m['task']}.{m['key']}": f"{m['task'].replace('_', ' ').capitalize()}: {m['title']}"
        f"{' (' + m['unit'] + ')' if m['unit'] else ''} {wording.ARROWS[m['better']]}"
        for m in results.first["metrics"]
        if m["protocol"] == protocol
    }
    return _panels(results, frame, titles)


def _panels(results: Results, frame: pd.DataFrame, titles: dict[str, str]) -> Figure:
    lines = dict(list(frame.groupby(["panel", "method"])))
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
                mine = lines[panel, method].set_index("epoch")
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
