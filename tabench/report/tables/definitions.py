"""How Delta_b depends on its definition: every variant, for every method, baseline and protocol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tabench.report.records import wording
from tabench.report.records.reading import Results
from tabench.report.records.scores import DELTA_DIGITS, deltas
from tabench.report.tables import frames
from tabench.report.tables.frames import Column, Table
from tabench.stats.delta_b import VARIANTS, Variant


@dataclass(frozen=True)
class Definition:
    """What one column of the table holds."""

    column: Column
    baseline: str
    protocol: str
    variant: Variant


def definitions_table(results: Results, protocols: Sequence[str]) -> Table | None:
    """Build the table; None if the experiment has no baseline with a row of its own.

    Args:
        results: What was run.
        protocols: Protocols of the results tables, the main one first.
    """
    columns = _columns(results, protocols)
    if not columns:
        return None
    entries = [entry for definition in columns for entry in _entries(results, definition)]
    titles, seeds = frames.row_texts(results)
    warning = wording.short_warning(results)
    plain_columns = [definition.column for definition in columns]
    table = Table(
        name="delta_b",
        number="Δ_b by definition",
        caption=f"{results.experiment.get('title') or results.name}: the same runs under every definition.",
        protocol=protocols[0],
        warning=warning,
        columns=plain_columns,
        methods=results.methods,
        titles=titles,
        seeds=seeds,
        frame=frames.tidy(entries, results.methods, plain_columns),
        notes=(),
        experiment=results.name,
    )
    notes = [warning] if warning else []
    notes += [_formula(variant) for variant in VARIANTS.values()]
    notes += [_order(table, columns), f"Mean ± standard deviation over seeds. {wording.PAIRED}"]
    return replace(table, notes=notes)


def _columns(results: Results, protocols: Sequence[str]) -> list[Definition]:
    found = []
    for baseline in results.baselines:
        for protocol in protocols:
            for variant in VARIANTS.values():
                group = f"vs {results.title(baseline)}, {protocol}"
                name = f"delta.{baseline}.{protocol}.{variant.name}"
                column = Column(name, group, variant.name, "%", variant.better, DELTA_DIGITS)
                found.append(Definition(column, baseline, protocol, variant))
    return found


def _entries(results: Results, definition: Definition) -> list[frames.Entry]:
    entries = []
    for method in results.methods:
        points, reason = deltas(
            results, method, definition.baseline, definition.protocol, definition.variant.name
        )
        itself = method == definition.baseline
        reason = "the baseline itself" if itself else reason
        if not results.of(method):
            reason = "no finished run"
        entries.append(frames.entry_of(method, definition.column, points, reason, fixed=itself))
    return frames.ranked(entries, definition.column)


def _formula(variant: Variant) -> str:
    what = f"{variant.name} v{variant.version} ({variant.source}), {variant.better} is better"
    return f"{what}: {variant.formula}."


def _order(table: Table, definitions: Sequence[Definition]) -> str:
    """Whether the definitions agree on the best method of each baseline."""
    lines = []
    for baseline in dict.fromkeys(definition.baseline for definition in definitions):
        best: dict[str, list[str]] = {}
        for d in definitions:
            if d.baseline == baseline:
                for method in table.methods:
                    if table.entry(method, d.column.id).rank == 1:
                        best.setdefault(table.titles[method], []).append(f"{d.variant.name}, {d.protocol}")
        name = table.titles[baseline]
        if len(best) == 1:
            lines.append(f"Against {name}, every definition finds the same best method: {next(iter(best))}.")
        elif best:
            which = "; ".join(f"{method} ({', '.join(under)})" for method, under in best.items())
            lines.append(f"Against {name}, the best method depends on the definition: {which}.")
    return " ".join(lines) or "No Δ_b is defined yet."
