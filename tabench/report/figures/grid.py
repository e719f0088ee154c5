"""The qualitative grid as one picture, for papers."""

from __future__ import annotations

import textwrap

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from tabench.report.records.grid import Box, Grid, Pixels
from tabench.report.records.reading import Results

_CELL = 1.75  # inches
_HEADING = 22  # characters that fit above a cell


def draw_grid(results: Results, grid: Grid) -> Figure:
    """Columns input, ground truth, methods; rows images and inside them tasks."""
    shape = next((r.truth.shape for r in grid.rows if r.truth is not None), (3, 4))
    ratio = shape[0] / shape[1]
    columns = 2 + len(grid.methods)
    figure = Figure(figsize=(_CELL * columns + 0.3, (_CELL * ratio + 0.04) * len(grid.rows) + 0.35))
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.set(w_pad=0.015, h_pad=0.015, wspace=0, hspace=0)  # type: ignore[call-arg]
    axes = figure.subplots(len(grid.rows), columns, squeeze=False)
    titles = ["Input", "Ground truth", *(results.title(method) for method in grid.methods)]
    for column, title in enumerate(titles):
        axes[0, column].set_title(textwrap.fill(title, _HEADING), loc="center", fontsize=9)
    for i, row in enumerate(grid.rows):
        first = i == 0 or grid.rows[i - 1].image != row.image
        _show(axes[i, 0], grid.inputs.get(row.image) if first else None, None, missing=first)
        axes[i, 0].set_ylabel(row.task.replace("_", " ").capitalize(), fontsize=8.5)
        _show(axes[i, 1], row.truth, row.box)
        for j, method in enumerate(grid.methods):
            _show(axes[i, 2 + j], row.predictions.get(method), row.box)
    return figure


def _show(axes: Axes, picture: Pixels | None, box: Box | None, *, missing: bool = True) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    if picture is None:
        if missing:
            axes.text(0.5, 0.5, "not saved", ha="center", va="center", transform=axes.transAxes)
        return
    axes.imshow(picture, interpolation="nearest")
    if box is not None:
        place = (box.left - 0.5, box.top - 0.5)
        for colour, width in (("black", 2.2), ("white", 1.2)):
            axes.add_patch(
                Rectangle(place, box.width, box.height, fill=False, edgecolor=colour, linewidth=width)
            )
