"""Quality against trained parameters where methods differ in hyper-parameters: a line a method."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tabench.report.figures import style
from tabench.report.records import wording
from tabench.report.records.reading import Results
from tabench.report.tables.frames import Column, Entry, Table

CAPTION = (
    "Quality against trained parameters; a line joins the variants of one method, bars are standard "
    "deviations over seeds."
)


def has_sizes(results: Results, table: Table) -> bool:
    """Whether a method has rows of different size, and any quality to show for them."""
    return bool(_families(results, table)) and bool(_columns(table))


def draw_sizes(results: Results, table: Table) -> Figure:
    """One panel a baseline's Delta_b; without a baseline one a task, of its first metric."""
    columns = _columns(table)
    figure = Figure(figsize=(4.8 * len(columns) if len(columns) < 3 else 10.5, 3.6))
    for axes, column in zip(figure.subplots(1, len(columns), squeeze=False)[0], columns, strict=True):
        _panel(axes, results, table, column)
    style.legend_below(figure)
    return figure


def _families(results: Results, table: Table) -> dict[str, list[str]]:
    """Registry name of each method whose rows differ in size, to its rows from small to large."""
    families: dict[str, list[str]] = {}
    for method in table.methods:
        if table.entry(method, "parameters").mean is not None:
            families.setdefault(results.family(method), []).append(method)
    several = {name: rows for name, rows in families.items() if len({_size(table, row) for row in rows}) > 1}
    return {name: sorted(rows, key=lambda row: _size(table, row)) for name, rows in several.items()}


def _columns(table: Table) -> list[Column]:
    signed = [c for c in table.columns if c.signed]
    firsts = {c.group: c for c in reversed(table.columns) if c.better and not c.signed}
    wanted = signed or [c for c in table.columns if c in firsts.values()]
    return [c for c in wanted if any(table.entry(m, c.id).points for m in table.methods)]


def _panel(axes: Axes, results: Results, table: Table, column: Column) -> None:
    families = _families(results, table)
    every = list(dict.fromkeys(results.family(method) for method in table.methods))
    colours = style.colours(every)
    for name in every:
        rows = families.get(name) or [m for m in table.methods if results.family(m) == name]
        entries = [e for row in rows if (e := table.entry(row, column.id)).mean is not None]
        _line(axes, table, entries, results.title(name), colours[name], style.marker(name))
    if column.signed:
        axes.axhline(0, color=axes.xaxis.label.get_color(), linewidth=0.7, linestyle=(0, (4, 3)), zorder=1)
    title = f"{column.group} {column.title}" if column.signed else f"{column.group}: {column.title}"
    unit = f" ({column.unit})" if column.unit else ""
    axes.set_title(f"{title}{unit} {wording.ARROWS[column.better]}".replace("Δ_b", "$\\Delta_b$"))
    style.log_millions(axes)


def _line(axes: Axes, table: Table, entries: Sequence[Entry], label: str, colour: object, mark: str) -> None:
    if not entries:
        return
    sizes = [_size(table, entry.method) for entry in entries]
    means = [entry.mean or 0.0 for entry in entries]
    axes.errorbar(sizes, means, yerr=[entry.sd or 0.0 for entry in entries], color=colour, label=label,
                  marker=mark, markersize=5, capsize=2, elinewidth=0.8)  # fmt: skip


def _size(table: Table, method: str) -> float:
    return table.entry(method, "parameters").mean or 0.0
