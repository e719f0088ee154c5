"""Delta_b against trained parameters: a point a run, a large marker a method."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tabench.report.figures import style
from tabench.report.records.reading import Results
from tabench.report.tables.frames import Column, Table

CROWD = 50  # runs of a method from which on their points are drawn as one image


def has_tradeoff(table: Table) -> bool:
    """Whether any Delta_b of the table is defined."""
    return bool(_columns(table))


def draw_tradeoff(results: Results, table: Table) -> Figure:
    """One panel a baseline."""
    columns = _columns(table)
    figure = Figure(figsize=(4.8 * len(columns), 3.6))
    for axes, column in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        _panel(axes, results, table, column.id)
        axes.set_title(f"Δ_b {column.title} (%) ↑".replace("Δ_b", "$\\Delta_b$"))
    style.legend_below(figure)
    return figure


def _columns(table: Table) -> list[Column]:
    return [c for c in table.columns if c.signed and any(table.entry(m, c.id).points for m in table.methods)]


def _panel(axes: Axes, results: Results, table: Table, column: str) -> None:
    colours = style.colours(results.methods)
    axes.axhline(0, color=axes.xaxis.label.get_color(), linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    for method in table.methods:
        entry, size = table.entry(method, column), table.entry(method, "parameters")
        if entry.mean is None or size.mean is None or not entry.points:
            continue
        values = [point.value for point in entry.points]
        axes.scatter([size.mean] * len(values), values, s=9, color=colours[method], alpha=0.55, linewidth=0,
                     rasterized=len(values) > CROWD)  # fmt: skip
        axes.scatter([size.mean], [entry.mean], s=58, color=colours[method], marker=style.marker(method),
                     label=results.title(method), edgecolor="white", linewidth=0.6, zorder=3)  # fmt: skip
    style.log_millions(axes)
