"""The headline: one sentence that the numbers themselves decide."""

from __future__ import annotations

from statistics import fmean

from tabench.report.records import wording
from tabench.report.records.reading import Results
from tabench.report.records.scores import deltas
from tabench.report.tables.table import Column, Table
from tabench.stats.seeds import t_interval
from tabench.text import counted, joined

FLOOR = "frozen"


def headline(results: Results, tables: list[Table]) -> str:
    """Which method has the best Delta_b, and whether every adapted method beats the frozen encoder.

    The first table (protocol) in which a Delta_b is defined decides. An experiment without a baseline
    gets the best row of each task's first metric.
    """
    for table in tables:
        best = best_gain(table)
        if best is not None:
            return f"{_winner(results, table, *best)} {_floor(results, table)}".strip()
    if not results.baselines and tables:
        return _firsts(results, tables[0])
    return f"No Δ_b can be computed yet: {wording.states(results)}."


def floor_margins(results: Results, protocol: str) -> dict[str, list[float]]:
    """Adapted method to its Delta_b against the frozen encoder on each seed, in percent."""
    margins = {}
    for method in results.methods:
        points, _ = deltas(results, method, FLOOR, protocol)
        if points and method != FLOOR:
            margins[method] = [point.value for point in points]
    return margins


def best_gain(table: Table) -> tuple[str, Column] | None:
    """The method with the best Delta_b against the first baseline that has any."""
    for column in table.columns:
        if column.signed and (best := table.best(column)) is not None:
            return best, column
    return None


def _winner(results: Results, table: Table, method: str, column: Column) -> str:
    entry, baseline = table.entry(method, column.id), column.id.removeprefix("delta.")
    size = table.entry(method, "parameters").shown
    data = results.first["data"]["title"]
    seeds = counted(len(entry.points), "seed")
    if method == baseline:
        return (
            f"On {data}, no method improves on {results.title(baseline)} by Δ_b ({seeds}, {size} M trained)."
        )
    return (
        f"On {data}, {results.title(method)} has the best Δ_b against {results.title(baseline)}: "
        f"{entry.shown} % (mean of {seeds}) with {size} M trained parameters."
    )


def _firsts(results: Results, table: Table) -> str:
    """The best row in the first metric of every task."""
    parts = []
    for task, columns in table.groups:
        column = columns[0]
        best = table.best(column) if column.id else None
        if best is not None:
            unit = f" {column.unit}" if column.unit else ""
            value = f"{table.entry(best, column.id).shown}{unit}"
            parts.append(f"{task.lower()} {column.title} {value} ({results.title(best)})")
    data = results.first["data"]["title"]
    found = "; ".join(parts) or "no value is defined yet"
    return f"On {data}, the best of {counted(len(table.keys), 'row')} by task: {found}."


def _floor(results: Results, table: Table) -> str:
    margins = floor_margins(results, table.protocol)
    if not margins:
        return ""
    floor = results.title(FLOOR).lower()
    means = {method: fmean(values) for method, values in margins.items()}
    lost = [results.title(method) for method, mean in means.items() if mean <= 0]
    span = f"Δ_b against it from {min(means.values()):+.1f} % to {max(means.values()):+.1f} %"
    if lost:
        won = f"{len(means) - len(lost)} of {len(means)} adapted methods"
        return f"{won} beat the {floor}, {joined(lost)} did not ({span})."
    unclear = [results.title(method) for method, values in margins.items() if not clear_of_zero(values)]
    doubt = f"; over the seeds not clear of zero: {joined(unclear)}" if unclear else ""
    return f"Every adapted method beats the {floor} ({span}{doubt})."


def clear_of_zero(values: list[float]) -> bool:
    """Whether the 95 % t-interval over the seeds lies above zero."""
    interval = t_interval(values)
    return interval.mean > interval.half_width  # False with one seed, whose half width is NaN
