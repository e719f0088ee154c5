"""Quality against trained parameters: a point a run, or a line a method whose variants differ in size."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tabench.report.figures import style
from tabench.report.records.reading import Results
from tabench.report.tables.table import Column, Table

SIZES = (
    "Quality against trained parameters; a line joins the variants of one method, bars are standard "
    "deviations over seeds."
)
TRADEOFF = (
    "Relative improvement Δ_b against trained parameters; small points are runs, large markers "
    "means over seeds."
)
CROWD = 50  # runs of a method from which on their points are drawn as one image


def has_tradeoff(table: Table) -> bool:
    """Whether any Delta_b of the table is defined."""
    return bool(_gains(table))


def draw_tradeoff(results: Results, table: Table) -> Figure:
    """One panel a baseline."""
    columns, colours = _gains(table), style.colours(results.methods)
    figure = Figure(figsize=(4.8 * len(columns), 3.6))
    for axes, column in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        _zero(axes)
        for method in table.keys:
            entry, size = table.entry(method, column.id), table.entry(method, "parameters").value
            if entry.value is None or size is None:
                continue
            values = [point.value for point in entry.points]
            axes.scatter([size] * len(values), values, s=9, color=colours[method], alpha=0.55, linewidth=0,
                         rasterized=len(values) > CROWD)  # fmt: skip
            axes.scatter([size], [entry.value], s=58, color=colours[method], marker=style.marker(method),
                         label=results.title(method), edgecolor="white", linewidth=0.6, zorder=3)  # fmt: skip
        style.log_millions(axes)
        axes.set_title(style.formula(f"Δ_b {column.title} (%) ↑"))
    style.legend_below(figure)
    return figure


def has_sizes(results: Results, table: Table) -> bool:
    """Whether a method has rows of different size, and any quality to show for them."""
    families = _families(results, table)
    several = any(len({_size(table, row) for row in rows}) > 1 for rows in families.values())
    return several and bool(_columns(table))


def draw_sizes(results: Results, table: Table) -> Figure:
    """One panel a baseline's Delta_b; without a baseline one a task, of its first metric."""
    columns, families = _columns(table), _families(results, table)
    colours = style.colours(list(families))
    figure = Figure(figsize=(4.8 * len(columns) if len(columns) < 3 else 10.5, 3.6))
    for axes, column in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        for name, family in families.items():
            rows = [row for row in family if table.entry(row, column.id).value is not None]
            if rows:
                entries = [table.entry(row, column.id) for row in rows]
                axes.errorbar([_size(table, row) for row in rows], [e.value or 0.0 for e in entries],
                              yerr=[e.sd or 0.0 for e in entries], color=colours[name],
                              label=results.title(name), marker=style.marker(name), markersize=5, capsize=2,
                              elinewidth=0.8)  # fmt: skip
        if column.signed:
            _zero(axes)
        title = f"{column.group} {column.heading}" if column.signed else column.whole
        axes.set_title(style.formula(title))
        style.log_millions(axes)
    style.legend_below(figure)
    return figure


def _families(results: Results, table: Table) -> dict[str, list[str]]:
    """Registry name of each method to its rows from small to large."""
    families: dict[str, list[str]] = {}
    for method in table.keys:
        families.setdefault(results.family(method), []).append(method)
    return {name: sorted(rows, key=lambda row: _size(table, row)) for name, rows in families.items()}


def _gains(table: Table) -> list[Column]:
    return [column for column in table.valued if column.signed and table.defined(column)]


def _columns(table: Table) -> list[Column]:
    firsts = {c.group: c for c in reversed(table.valued) if c.better and not c.signed}
    firsts_in_order = [c for c in table.valued if c in firsts.values() and table.defined(c)]
    return _gains(table) if any(column.signed for column in table.columns) else firsts_in_order


def _zero(axes: Axes) -> None:
    axes.axhline(0, color=axes.xaxis.label.get_color(), linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)


def _size(table: Table, method: str) -> float:
    return table.entry(method, "parameters").value or 0.0
