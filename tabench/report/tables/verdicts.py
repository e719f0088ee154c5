"""The verdict table: every published value of a method in the experiment against its runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tabench.report.records import wording
from tabench.report.records.judgement import Judgement, judge, obstacle
from tabench.report.records.published import Published
from tabench.report.records.reading import Results
from tabench.report.tables.results import metrics
from tabench.report.tables.table import Column, Entry, Table, number, words
from tabench.stats.seeds import DEFAULT_RULE

COLUMNS = (
    *(Column(title, words=True) for title in ("Method", "Metric")),
    *map(Column, ("Measured", "Runs", "Published")),
    *(Column(title, words=True) for title in ("Evidence", "Tolerance", "Verdict")),
    Column("What it rests on", words=True, width=5.5),
)
_SPREAD = "“±” after a measured value is half the width of its 95 % t-interval."


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
    measured = [metric.column for metric in metrics(results, protocol)]
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


def verdict_table(results: Results, found: Verdicts) -> Table:
    """The verdicts with what they rest on."""
    columns = {column.id: column for column in found.columns}
    rows = []
    for row in found.rows:
        column = columns[row.column]
        rests = "" if found.obstacle and row.printed else row.why
        place = f"({row.place})" if rests and row.place else row.place
        mean, printed = row.found.mean, row.printed
        rows.append(
            [
                words(results.title(row.method)),
                words(column.whole),
                Entry(_measured(row, column), mean),
                number(row.found.n, "{}"),
                Entry(printed, float(printed)) if printed else Entry("not known"),
                words(row.evidence or "–"),
                words(row.tolerance or "–"),
                words(row.word, look=f"word {row.word.split()[0]}"),
                words(f"{rests} {place}".strip()),
            ]
        )
    stand = f"Published values, their evidence and tolerances stand in {found.source}."
    notes = [f"{found.rule} {stand} {_SPREAD}"]
    if found.obstacle:
        notes.append(f"No verdict ({found.obstacle}): not the paper's setting.")
    caption = f"Runs against published values (protocol “{found.protocol}”)."
    return Table(
        *("verdicts", "Verdicts", caption, COLUMNS, rows, notes, wording.short_warning(results), results.name)
    )


def _measured(row: Judgement, column: Column) -> str:
    """Mean over runs with the half width of its t-interval: "51.80 ± 0.31"; "–" without runs."""
    if row.found.mean is None:
        return "–"
    text = wording.number(row.found.mean, column.digits)
    if row.found.high is None:
        return text
    return f"{text} ± {wording.number(row.found.high - row.found.mean, column.digits)}"
