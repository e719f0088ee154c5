"""The verdict table: every published value of a method in the experiment against its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabench.report.records import wording
from tabench.report.records.judgement import Judgement, judge, obstacle
from tabench.report.records.published import Published
from tabench.report.records.reading import Results
from tabench.report.tables.frames import Column, columns_of
from tabench.report.tables.sheet import Sheet
from tabench.stats.seeds import DEFAULT_RULE


@dataclass(frozen=True)
class Verdicts:
    """All judgements of an experiment.

    Attributes:
        columns: The metrics that a published value speaks about.
        rows: Metric by metric, methods in table order.
        obstacle: Why no verdict is given to any of them; "" if they are.
        rule: How a verdict is reached.
        source: File of the published values.
        protocol: Protocol of the measured values.
    """

    columns: Sequence[Column]
    rows: Sequence[Judgement]
    obstacle: str
    rule: str
    source: str
    protocol: str

    def column(self, row: Judgement) -> Column:
        """The metric of a row."""
        return next(column for column in self.columns if column.id == row.column)

    @property
    def known(self) -> int:
        """Rows with a published value."""
        return sum(bool(row.printed) for row in self.rows)


def verdicts(results: Results, published: Published | None, protocol: str = "") -> Verdicts | None:
    """Judge every method in every metric that a published value speaks about; None if there is none.

    Args:
        results: What was run.
        published: The experiment's file of published values.
        protocol: Protocol of the measured values; by default the dataset's main one, which published
            values are taken to be in.
    """
    if published is None:
        return None
    protocol = protocol or str(results.first["metrics"][0]["protocol"])
    measured = columns_of(results, protocol)
    named = published.columns(measured)
    columns = [column for column in measured if column.id in named]
    if not columns:
        return None
    why = obstacle(results)
    mine = published if why else published.of_dataset(results.first["data"]["name"])
    rows = [
        judge(results, method, column, protocol, mine) for column in columns for method in results.methods
    ]
    rule = (
        "match: the mean over seeds is within the tolerance; within interval: the published value lies in "
        "the 95 % t-interval of the mean over seeds; off by: neither, with our mean minus the published "
        f"value. {DEFAULT_RULE}"
    )
    return Verdicts(columns, rows, why, rule, published.source, protocol)


def verdict_sheet(results: Results, found: Verdicts) -> Sheet:
    """The verdicts as a table of texts."""
    rows = []
    for row in found.rows:
        column = found.column(row)
        rows.append(
            [
                results.title(row.method),
                f"{column.group}: {column.heading}",
                measured_text(row, column),
                str(row.found.n),
                row.printed or "not known",
                row.evidence or "–",
                row.tolerance or "–",
                row.word,
                row.why,
            ]
        )
    warning = wording.short_warning(results)
    return Sheet(
        "verdicts",
        "Verdicts",
        f"Runs against published values (protocol “{found.protocol}”). {warning}".strip(),
        ("Method", "Metric", "Measured", "Runs", "Published", "Evidence", "Tolerance", "Verdict", "Why"),
        rows,
        [
            f"{found.rule} Published values: {found.source}.",
            *([f"No verdict ({found.obstacle}): not the paper's setting."] if found.obstacle else []),
        ],
        prose={8: 5.5},
    )


def measured_text(row: Judgement, column: Column) -> str:
    """Mean over runs with the half width of its t-interval: "51.80 ± 0.31"; "–" without runs."""
    if row.found.mean is None:
        return "–"
    text = wording.number(row.found.mean, column.digits)
    if row.found.high is None:
        return text
    return f"{text} ± {wording.number(row.found.high - row.found.mean, column.digits)}"
