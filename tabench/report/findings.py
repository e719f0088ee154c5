"""The headline: one sentence that the numbers themselves decide."""

from __future__ import annotations

from tabench.report import wording
from tabench.report.frames import Entry, Table
from tabench.report.reading import Results
from tabench.report.scores import deltas

FLOOR = "frozen"


def headline(results: Results, tables: list[Table]) -> str:
    """Which method has the best Delta_b, and whether every adapted method beats the frozen encoder.

    The first table (protocol) in which a Delta_b is defined decides.
    """
    for table in tables:
        best = _best(table)
        if best is not None:
            return f"{_winner(results, table, best)} {_floor(results, table)}".strip()
    return f"No Δ_b can be computed yet: {wording.states(results)}."


def beaten_floor(results: Results, protocol: str) -> dict[str, bool]:
    """Adapted method to whether its mean Delta_b against the frozen encoder is positive."""
    beaten = {}
    for method in results.methods:
        points, _ = deltas(results, method, FLOOR, protocol)
        if points and method != FLOOR:
            beaten[method] = sum(point.value for point in points) > 0
    return beaten


def _best(table: Table) -> Entry | None:
    for column in table.columns:
        if column.signed:
            for method in table.methods:
                if table.entry(method, column.id).rank == 1:
                    return table.entry(method, column.id)
    return None


def _winner(results: Results, table: Table, best: Entry) -> str:
    baseline = best.column.removeprefix("delta.")
    size = table.entry(best.method, "parameters").shown
    data = results.first["data"]["title"]
    seeds = wording.counted(len(best.points), "seed")
    if best.method == baseline:
        return (
            f"On {data}, no method improves on {results.title(baseline)} by Δ_b ({seeds}, {size} M trained)."
        )
    return (
        f"On {data}, {results.title(best.method)} has the best Δ_b against {results.title(baseline)}: "
        f"{best.shown} % (mean of {seeds}) with {size} M trained parameters."
    )


def _floor(results: Results, table: Table) -> str:
    beaten = beaten_floor(results, table.protocol)
    if not beaten:
        return ""
    floor = results.title(FLOOR).lower()
    if all(beaten.values()):
        return f"Every adapted method beats the {floor}."
    lost = [results.title(method) for method, won in beaten.items() if not won]
    won = f"{sum(beaten.values())} of {len(beaten)} adapted methods"
    return f"{won} beat the {floor}; {wording.listing(lost)} did not."
