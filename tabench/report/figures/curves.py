"""Loss and metric curves over epochs: a line a method, a band from the lowest to the highest seed."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from itertools import zip_longest

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from tabench.report.figures import style
from tabench.report.records import wording
from tabench.report.records.reading import Results

BAND = "Lines are means over seeds, bands reach from the lowest to the highest seed."

Curve = npt.NDArray[np.float64]  # (4, epochs): epoch, then mean, lowest and highest over seeds
Curves = Mapping[str, Mapping[str, Curve]]  # of a panel (a task; "task.key"), by method


def read_curves(results: Results, protocol: str) -> tuple[Curves, Curves]:
    """Training losses of each task, and a protocol's metrics on the evaluation split.

    Values of a seed in one epoch are averaged first. A method's runs are read again, one method after the
    other.
    """
    tasks = results.first["cell"]["dataset"]["tasks"]
    losses, metrics = dict[str, dict[str, Curve]](), dict[str, dict[str, Curve]]()
    for method in results.methods:
        # flat numbers (seed, epoch, value): a long sweep has millions of them
        terms: dict[str, array[float]] = {}
        points: dict[str, array[float]] = {}
        for cell in results.of(method):
            curves, seed = cell.whole()["curves"], cell.seed or 0
            for step in curves["train"]:
                for term, value in step["terms"].items():
                    if term in tasks and value is not None:
                        terms.setdefault(term, array("d")).extend((seed, step["epoch"], value))
            for point in curves["eval"]:
                if point["protocol"] == protocol and point["value"] is not None:
                    name = f"{point['task']}.{point['key']}"
                    points.setdefault(name, array("d")).extend((seed, point["epoch"], point["value"]))
        for found, lines in ((losses, terms), (metrics, points)):
            for panel, numbers in lines.items():
                found.setdefault(panel, {})[method] = _over_seeds(numbers)
    return losses, metrics


def _over_seeds(numbers: array[float]) -> Curve:
    seeds, epochs, values = np.reshape(np.asarray(numbers), (-1, 3)).T
    pairs, place = np.unique(np.stack([epochs, seeds]), axis=1, return_inverse=True)
    means = np.bincount(place.reshape(-1), values) / np.bincount(place.reshape(-1))
    every, first = np.unique(pairs[0], return_index=True)  # pairs are sorted by epoch
    counts = np.diff([*first, len(means)])
    totals = (np.add.reduceat(means, first) / counts, np.minimum.reduceat(means, first))
    return np.stack([every, *totals, np.maximum.reduceat(means, first)])


def draw_losses(results: Results, losses: Curves) -> Figure:
    """One panel a task."""
    tasks = results.first["cell"]["dataset"]["tasks"]
    return _panels(results, losses, {task: f"{wording.task_title(task)} training loss ↓" for task in tasks})


def draw_metrics(results: Results, metrics: Curves, protocol: str) -> Figure:
    """One panel a metric."""
    titles = {
        f"{m['task']}.{m['key']}": wording.metric_heading(m)
        for m in results.first["metrics"]
        if m["protocol"] == protocol
    }
    return _panels(results, metrics, titles)


def _panels(results: Results, curves: Curves, titles: dict[str, str]) -> Figure:
    present = [panel for panel in titles if panel in curves]
    columns = 3 if len(present) > 2 else len(present)
    rows = -(-len(present) // columns)
    figure = Figure(figsize=(9.6, 2.35 * rows + 0.5))
    colours = style.colours(results.methods)
    for axes, panel in zip_longest(figure.subplots(rows, columns, squeeze=False).flat, present):
        if panel is None:
            axes.set_visible(False)
            continue
        axes.set_title(titles[panel])
        for method, (epochs, mean, low, high) in curves[panel].items():
            mark, label = style.marker(method), results.title(method)
            style.line(axes, epochs, mean, colours[method], band=(low, high), marker=mark, label=label)
        style.whole_numbers(axes)
        axes.set_xlabel("epoch")
    style.legend_below(figure)
    return figure
