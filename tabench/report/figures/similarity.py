"""How alike the tasks' updates are: heat maps of cosines, over all layers and layer by layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import fill

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from tabench.report.records import wording
from tabench.report.records.factors import ROW_NAMES, Array, MethodFactors
from tabench.report.records.reading import Results
from tabench.text import counted, joined

_COLOURS = "PuOr_r"  # orange alike, violet opposite; told apart with every common colour vision
_DARK_TEXT, _LIGHT_TEXT = "#222222", "#ffffff"  # on coloured ground, the same in both looks
_PER_LINE = 12  # layers beside one another
_PANELS_PER_LINE = 3
_MOST = 9  # panels that still make a figure


@dataclass(frozen=True)
class Panel:
    """Cosines of one method's tasks.

    Attributes:
        title: Method and what is compared, in two lines.
        tasks: Names along both axes.
        layers: A matrix (T, T) for each layer, mean over runs.
    """

    title: str
    tasks: Sequence[str]
    layers: Sequence[Array]

    @property
    def mean(self) -> Array:
        """Mean over the layers that have a value."""
        stack = np.array(self.layers)
        counts = (~np.isnan(stack)).sum(axis=0)
        return np.where(counts > 0, np.nansum(stack, axis=0) / np.maximum(counts, 1), np.nan)


def panels(results: Results, factors: Sequence[MethodFactors]) -> list[Panel]:
    """The factorisation's own task rows where it has them, and the updates themselves of every method.

    Many methods are variants of a few: then the first ones' updates alone are shown.
    """
    found, many = [], _many(factors)
    for part in factors[:_MOST] if many else factors:
        title = fill(results.title(part.method), 24)
        if part.kind in ROW_NAMES and not many:
            found.append(Panel(f"{title}\n{ROW_NAMES[part.kind]}", part.tasks, part.similarity("rows")))
        found.append(Panel(f"{title}\nupdates $\\Delta W_t$", part.tasks, part.similarity("updates")))
    return found


def _many(factors: Sequence[MethodFactors]) -> bool:
    return sum(2 if part.kind in ROW_NAMES else 1 for part in factors) > _MOST


def _left_out(factors: Sequence[MethodFactors]) -> str:
    rest = len(factors) - _MOST
    return f" {counted(rest, 'further row')} of the tables not drawn." if rest > 0 else ""


def caption(results: Results, factors: Sequence[MethodFactors]) -> str:
    """What is compared, and over how many runs and layers."""
    alone = (
        "Separate LoRAs train every task alone from a random start of its own, so their updates have no "
        "reason to be alike."
    )
    rows = (
        "Rows of U3 (Tucker) or C (CP) are the task-specific vectors themselves; they depend on the basis "
        "that training happened to choose, so the updates ΔW of the whole layer are compared too, which do "
        "not."
    )
    return (
        f"Cosine similarity of the tasks{'’ updates ΔW' if _many(factors) else ''} "
        f"(mean over {runs_and_layers(results, factors)})."
        + ("" if _many(factors) else f" {rows}")
        + _left_out(factors)
        + (f" {alone}" if any(part.kind == "lora-stack" for part in factors) else "")
    )


def layers_caption(results: Results, factors: Sequence[MethodFactors]) -> str:
    """The same layer by layer."""
    order = joined([task.replace("_", " ") for task in factors[0].tasks])
    runs = joined([f"{results.title(p.method)}: {_runs(p)}" for p in factors])
    return (
        "Cosine similarity of the tasks in each adapted layer, counted from the image on (mean over runs; "
        f"{runs}). Tasks from left to right and from top to bottom: {order}.{_left_out(factors)}"
    )


def runs_and_layers(results: Results, factors: Sequence[MethodFactors]) -> str:
    """For captions: "4 layers; TA-LoRA: 3 runs, LoRA-STL: 3 runs"."""
    layers = sorted({len(part.layers) for part in factors})
    runs = ", ".join(f"{results.title(p.method)}: {_runs(p)}" for p in factors)
    return f"{joined([str(n) for n in layers])} layers; {runs}"


def _runs(part: MethodFactors) -> str:
    count = counted(len(part.files), "run")
    return f"{count} of {len(part.files) + part.unread}, the lowest seeds" if part.unread else count


def draw_similarity(found: Sequence[Panel]) -> Figure:
    """One annotated heat map a panel, mean over layers."""
    columns = min(_PANELS_PER_LINE, len(found))
    lines = -(-len(found) // columns)
    figure = Figure(figsize=(1.85 * columns + 1.65, 2.1 * lines + 0.2))
    grid = figure.subplots(lines, columns, squeeze=False)
    for index, axes in enumerate(grid.flat):
        if index >= len(found):
            axes.set_visible(False)
            continue
        panel = found[index]
        _heat(axes, panel.mean, numbers=True)
        axes.set_title(panel.title, fontsize=7.5, loc="center", fontweight="normal")
        ticks = np.arange(len(panel.tasks)) + 0.5
        names = [task.replace("_", " ") for task in panel.tasks]
        axes.set_xticks(ticks, names, rotation=35, ha="right", rotation_mode="anchor", fontsize=7)
        axes.set_yticks(ticks, names if index % columns == 0 else [""] * len(names), fontsize=7)
    _bar(figure, list(grid.flat))
    return figure


def draw_layers(found: Sequence[Panel]) -> Figure:
    """A line of small heat maps for each panel, first layer left."""
    columns = min(_PER_LINE, max(len(panel.layers) for panel in found))
    lines = [-(-len(panel.layers) // columns) for panel in found]
    side = min(0.85, 5.2 / columns)
    figure = Figure(figsize=(7.2, (side + 0.06) * sum(lines) + 0.3))
    grid = figure.subplots(sum(lines), columns, squeeze=False)
    for axes in grid.flat:
        axes.set_visible(False)
    start = 0
    for panel, count in zip(found, lines, strict=True):
        for index, matrix in enumerate(panel.layers):
            axes = grid[start + index // columns, index % columns]
            axes.set_visible(True)
            _heat(axes, matrix, numbers=False)
            axes.set_xticks([])
            axes.set_yticks([])
            if start == 0 or count > 1:
                axes.set_title(str(index), fontsize=7, loc="center", fontweight="normal")
        grid[start, 0].set_ylabel(panel.title, rotation=0, ha="right", va="center", fontsize=7, labelpad=6)
        start += count
    _bar(figure, list(grid.flat))
    return figure


def _heat(axes: Axes, matrix: Array, *, numbers: bool) -> None:
    shown = np.ma.masked_invalid(matrix)
    axes.pcolormesh(shown, cmap=_COLOURS, norm=Normalize(-1, 1), edgecolors="face", linewidth=0.2)
    axes.set_aspect("equal")
    axes.invert_yaxis()
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if not numbers:
        return
    for (row, column), value in np.ndenumerate(matrix):
        text = "n/a" if np.isnan(value) else wording.number(float(value), 2).replace("-", "−")
        colour = _LIGHT_TEXT if abs(value) > 0.6 else _DARK_TEXT
        axes.text(column + 0.5, row + 0.5, text, ha="center", va="center", fontsize=6.5, color=colour)


def _bar(figure: Figure, axes: list[Axes]) -> None:
    mappable = ScalarMappable(Normalize(-1, 1), matplotlib.colormaps[_COLOURS])
    bar = figure.colorbar(mappable, ax=axes, shrink=0.8, aspect=25, pad=0.02, ticks=[-1, -0.5, 0, 0.5, 1])
    bar.outline.set_visible(False)
    bar.ax.tick_params(labelsize=7)
    bar.set_label("cosine", fontsize=7)
