"""The comparison with the reference as tables: every verdict with its numbers, and all at a glance."""

from __future__ import annotations

from tabench.report.records import wording
from tabench.report.records.reproduced import RULE, Line, Reproduced
from tabench.report.tables.table import Column, Entry, Table, number, words

_COLUMNS = (
    *(Column(title, words=True) for title in ("Method", "Metric", "Verdict")),
    *map(Column, ("Runs", "Images", "Mean difference")),
    Column("90% interval", words=True),
    *map(Column, ("Margin of it", "p (TOST)", "Largest reported difference")),
    Column("Why", words=True, width=5.5),
)


def table(found: Reproduced) -> Table:
    """Every method in every metric."""
    rows = []
    for line in found.lines:
        metric, test = found.metrics[line.metric], line.test
        rows.append(
            [
                words(found.reference.title(line.method)),
                words(wording.metric_heading(metric)),
                _word(line),
                Entry(f"{line.runs} of {line.of}", line.runs),
                number(test.n if test else None, "{}"),
                number(test.difference if test else None, "{:+.3g}"),
                words(f"{test.low:+.3g} to {test.high:+.3g}" if test else "–"),
                number(test.margin if test else None, "±{:.3g}"),
                number(test.p_value if test else None, wording.p_value),
                number(line.largest if line.runs else None, "{:.3g}"),
                words(line.reason),
            ]
        )
    margins = f" Margins: {found.margins}." if found.margins else ""
    return Table(
        *(
            "reproduced",
            "Reproduced",
            "Each method here minus the same in the reference records.",
            _COLUMNS,
            rows,
        ),
        [f"{RULE}{margins}"],
        *(wording.short_warning(found.reference), found.reference.name),
        fits=False,
    )


def matrix(found: Reproduced) -> Table:
    """One row a method, one column a metric, and how much is the same to the last digit stored."""
    columns = [
        Column(m["title"], group=wording.task_title(m["task"]), unit=m["unit"], words=True)
        for m in found.metrics.values()
    ]
    known = {(line.method, line.metric): line for line in found.lines}
    columns += [Column(title, group="Identical") for title in ("Numbers", "Weights")]
    rows = [
        [words(found.reference.title(row.method))]
        + [_word(known[row.method, name]) for name in found.metrics]
        + [
            Entry(f"{row.identical} of {row.numbers}", row.identical),
            Entry(f"{row.weights} of {row.cells}", row.weights),
        ]
        for row in found.runs
    ]
    caption = "Every method and metric against the reference records."
    return Table(
        "reproduced_matrix", "Reproduced, overview", caption, [Column("Method", words=True), *columns], rows
    )


def _word(line: Line) -> Entry:
    return words(line.word, look=f"word {line.word}")
