"""Paired tests over images: is a method's distance from TA-LoRA more than luck of the images?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tabench.report.records import wording
from tabench.report.records.reading import Results
from tabench.report.tables.table import Column, Entry, Table, number, words
from tabench.stats.paired import Comparison, compare, holm, mean_over_runs

_Values = tuple[tuple[str, ...], npt.NDArray[np.float64]]  # image ids, and one run's value of each
LEVEL = 0.05
MARKS = {"better": "▲", "worse": "▼", "not told apart": ""}
RULE = (
    "An image's value is averaged over seeds first; the images are the sample. Wilcoxon signed-rank test and "
    "paired bootstrap over images (10,000 resamples, fixed seed), the p-values of each corrected with Holm's "
    "method over all rows. A difference is read as real where both are below 5 %. Effect: rank-biserial "
    "correlation, from -1 (every image lower) to 1 (every image higher). It speaks about these images and "
    "these trained models, not about other seeds."
)


@dataclass(frozen=True)
class Contrast:
    """One method against the reference in one metric.

    Attributes:
        method: Row key.
        metric: The metric's column.
        comparison: Difference method - reference over images, with interval, effect and raw p-values.
        p_wilcoxon: Wilcoxon p-value after Holm's correction over all contrasts.
        p_bootstrap: Bootstrap p-value after the same correction.
    """

    method: str
    metric: Column
    comparison: Comparison
    p_wilcoxon: float
    p_bootstrap: float

    @property
    def reading(self) -> str:
        """Whether it is "better" or "worse" than the reference in both tests, else "not told apart"."""
        if not max(self.p_wilcoxon, self.p_bootstrap) < LEVEL:
            return "not told apart"
        higher = self.comparison.difference > 0
        return "better" if higher == (self.metric.better == "higher") else "worse"


@dataclass(frozen=True)
class Contrasts:
    """All contrasts with the reference, metric by metric, methods in table order."""

    reference: str
    metrics: Sequence[Column]
    methods: Sequence[str]
    rows: Sequence[Contrast]


def reference_method(results: Results) -> str | None:
    """The last method of the experiment's grid, else TA-LoRA, if it has a finished run.

    Where the experiment has variants of it, the one listed first.
    """
    grid = [str(name) for name in results.report.get("grid") or []]
    rows = (results.row(wanted) for wanted in (*grid[-1:], "ta-lora"))
    return next((row for row in rows if row is not None and results.of(row)), None)


def contrasts(results: Results) -> Contrasts | None:
    """Compare every method with the reference on every metric that has per-image values."""
    reference = reference_method(results)
    if reference is None:
        return None
    others = [method for method in results.methods if method != reference and results.of(method)]
    tested = _tested(results)
    theirs = _per_image(results, reference, tested)
    compared = {}
    for method in others:  # one after the other: their values are read again
        mine = _per_image(results, method, tested)
        compared[method] = {metric: compare(mine[metric.id], theirs[metric.id]) for metric in tested}
    pairs = ((method, metric) for metric in tested for method in others)
    found = [(*pair, one) for pair in pairs if (one := compared[pair[0]][pair[1]]).n]
    if not found:
        return None
    wilcoxon = holm([comparison.p_value for *_, comparison in found])
    bootstrap = holm([comparison.p_bootstrap for *_, comparison in found])
    rows = [Contrast(*row, w, b) for row, w, b in zip(found, wilcoxon, bootstrap, strict=True)]
    return Contrasts(reference, list(dict.fromkeys(row.metric for row in rows)), others, rows)


def contrast_table(results: Results, found: Contrasts, task: str = "") -> Table:
    """Every contrast with all of its numbers; with a task's heading, those of that task alone."""
    rows = []
    for row in found.rows:
        c, metric = row.comparison, row.metric
        if task not in ("", metric.group):
            continue
        told = row.reading != "not told apart"
        rows.append(
            [
                words(results.title(row.method)),
                words(metric.heading if task else metric.whole),
                number(c.n, "{}"),
                Entry(metric.text(c.difference), c.difference),
                words(f"{metric.text(c.low)} to {metric.text(c.high)}"),
                Entry(wording.number(c.effect, 2, signed=True), c.effect),
                Entry(wording.p_value(row.p_wilcoxon), row.p_wilcoxon, wording.p_value(c.p_value)),
                Entry(wording.p_value(row.p_bootstrap), row.p_bootstrap, wording.p_value(c.p_bootstrap)),
                words(f"{row.reading} than {results.title(found.reference)}" if told else row.reading),
            ]
        )
    columns = (
        *(Column("Method", words=True), Column("Metric", words=True)),
        *map(Column, ("Images", "Mean difference", "95% bootstrap interval", "Effect")),
        *map(Column, ("p Wilcoxon, Holm (raw)", "p bootstrap, Holm (raw)")),
        Column("Reading (5% level)", words=True),
    )
    title = f"Paired tests: {task}" if task else "Paired tests"
    caption, warning = _caption(results, found), wording.short_warning(results)
    notes = [] if task else [RULE]
    return Table("paired_tests", title, caption, columns, rows, notes, warning, results.name, fits=False)


def contrast_matrix(results: Results, found: Contrasts) -> Table:
    """The readings at a glance: one row a method, one column a metric."""
    known = {(row.method, row.metric.id): row for row in found.rows}
    rows = []
    for method in found.methods:
        cells = [words(results.title(method))]
        for metric in found.metrics:
            row = known.get((method, metric.id))
            if row is None:
                cells.append(Entry("n/a"))
                continue
            text = f"{metric.text(row.comparison.difference)} {MARKS[row.reading]}".strip()
            cells.append(Entry(text, row.comparison.difference, look=f"told {row.reading.split()[0]}"))
        rows.append(cells)
    caption = f"{_caption(results, found)} ▲ better, ▼ worse where both tests say so at the 5% level after "
    caption += "correction; no mark: not told apart."
    columns = [Column("Method", words=True), *found.metrics]
    return Table(
        *("paired_matrix", "Paired tests, overview", caption, columns, rows),
        [f"{RULE} {len(found.rows)} tests of each kind."],
        *(wording.short_warning(results), results.name),
    )


def _caption(results: Results, found: Contrasts) -> str:
    return f"Each method minus {results.title(found.reference)}, image by image."


def _tested(results: Results) -> list[Column]:
    values, found = results.done[0].whole()["per_image"]["values"], dict[str, Column]()
    for m in results.first["metrics"]:
        name = f"{m['task']}.{m['key']}"
        if m["key"] in values.get(m["task"], {}) and name not in found:
            group = wording.task_title(m["task"])
            found[name] = Column(m["title"], name, group, m["unit"], m["better"], m["digits"], signed=True)
    return list(found.values())


def _per_image(results: Results, method: str, tested: Sequence[Column]) -> dict[str, dict[str, float]]:
    """Metric id to image to the mean over a method's runs."""
    columns: dict[str, list[_Values]] = {metric.id: [] for metric in tested}
    same: dict[tuple[str, ...], tuple[str, ...]] = {}  # all runs on the same images share one list of ids
    for cell in results.of(method):
        images = cell.whole()["per_image"]
        ids = tuple(images["ids"])
        ids = same.setdefault(ids, ids)
        for name, kept in columns.items():
            task, _, key = name.partition(".")
            values = images["values"].get(task, {}).get(key)
            if values is not None:
                kept.append((ids, np.array(values, dtype=np.float64)))  # None becomes NaN
    return {name: mean_over_runs(kept) for name, kept in columns.items()}
