"""Paired tests over images: is a method's distance from TA-LoRA more than luck of the images?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from tabench.report.records import wording
from tabench.report.records.reading import Results
from tabench.report.tables.sheet import Sheet
from tabench.stats.paired import Comparison, compare, holm, mean_over_rows, mean_over_seeds

_Column = tuple[tuple[str, ...], npt.NDArray[np.float64]]  # image ids, and one run's value of each
LEVEL = 0.05
RULE = (
    "An image's value is averaged over seeds first; the images are the sample. Wilcoxon signed-rank test and "
    "paired bootstrap over images (10,000 resamples, fixed seed), the p-values of each corrected with Holm's "
    "method over all rows. A difference is read as real where both are below 5 %. Effect: rank-biserial "
    "correlation, from -1 (every image lower) to 1 (every image higher). It speaks about these images and "
    "these trained models, not about other seeds."
)


@dataclass(frozen=True)
class Tested:
    """A metric that has a value for every image.

    Attributes:
        id: "task.key".
        task: Heading of its task ("Depth").
        title: Its own heading ("Abs err (m)").
        digits: Decimals shown.
        better: "higher" or "lower".
    """

    id: str
    task: str
    title: str
    digits: int
    better: str


@dataclass(frozen=True)
class Contrast:
    """One method against the reference in one metric.

    Attributes:
        method: Row key.
        metric: The metric.
        comparison: Difference method - reference over images, with interval, effect and raw p-values.
        p_wilcoxon: Wilcoxon p-value after Holm's correction over all contrasts.
        p_bootstrap: Bootstrap p-value after the same correction.
    """

    method: str
    metric: Tested
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

    @property
    def difference(self) -> str:
        """The mean difference as shown, with its sign."""
        return wording.number(self.comparison.difference, self.metric.digits, signed=True)

    @property
    def interval(self) -> str:
        """The bootstrap interval as shown."""
        ends = (self.comparison.low, self.comparison.high)
        return " to ".join(wording.number(end, self.metric.digits, signed=True) for end in ends)


@dataclass(frozen=True)
class Contrasts:
    """All contrasts of an experiment.

    Attributes:
        reference: Row key of the method that the others are compared with.
        metrics: Metrics in the order of the tasks.
        methods: The other methods, in table order.
        rows: Metric by metric, methods in table order.
    """

    reference: str
    metrics: Sequence[Tested]
    methods: Sequence[str]
    rows: Sequence[Contrast]

    @property
    def tasks(self) -> Mapping[str, list[Contrast]]:
        """Rows under the heading of their task."""
        found: dict[str, list[Contrast]] = {}
        for row in self.rows:
            found.setdefault(row.metric.task, []).append(row)
        return found

    def row(self, method: str, metric: Tested) -> Contrast | None:
        """The contrast of a method in a metric; None if they share no image."""
        return self._by_pair.get((method, metric))

    @cached_property
    def _by_pair(self) -> dict[tuple[str, Tested], Contrast]:
        return {(row.method, row.metric): row for row in self.rows}


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


def contrast_sheet(results: Results, found: Contrasts) -> Sheet:
    """Every contrast with all of its numbers."""
    rows = [
        [
            results.title(row.method),
            f"{row.metric.task}: {row.metric.title} {wording.ARROWS[row.metric.better]}",
            str(row.comparison.n),
            row.difference,
            row.interval,
            wording.number(row.comparison.effect, 2, signed=True),
            p_text(row.comparison.p_value),
            p_text(row.p_wilcoxon),
            p_text(row.comparison.p_bootstrap),
            p_text(row.p_bootstrap),
            row.reading,
        ]
        for row in found.rows
    ]
    headings = (
        *("Method", "Metric", "Images", "Difference", "95 % interval", "Effect", "p Wilcoxon"),
        *("p Wilcoxon, Holm", "p bootstrap", "p bootstrap, Holm", "Reading"),
    )
    return Sheet("paired_tests", "Paired tests", _caption(results, found), headings, rows, [RULE], fits=False)


def contrast_matrix(results: Results, found: Contrasts) -> Sheet:
    """The readings at a glance: one row a method, one column a metric."""
    marks = {"better": "+", "worse": "-", "not told apart": ""}
    rows = []
    for method in found.methods:
        cells = [found.row(method, metric) for metric in found.metrics]
        rows.append(
            [
                results.title(method),
                *(f"{cell.difference} {marks[cell.reading]}".strip() if cell else "n/a" for cell in cells),
            ]
        )
    headings = ["Method", *(f"{metric.task}: {metric.title}" for metric in found.metrics)]
    note = "A mark behind a difference: + better, - worse than the reference; no mark: not told apart."
    caption = _caption(results, found)
    return Sheet("paired_matrix", "Paired tests, overview", caption, headings, rows, [note, RULE])


def p_text(p_value: float) -> str:
    """A p-value as shown: "0.034" or "< 0.001"."""
    return "< 0.001" if p_value < 0.001 else wording.number(p_value, 3)


def _caption(results: Results, found: Contrasts) -> str:
    warning = wording.short_warning(results)
    return f"Each method minus {results.title(found.reference)}, image by image. {warning}".strip()


def _tested(results: Results) -> list[Tested]:
    values, metrics = results.done[0].whole()["per_image"]["values"], dict[str, Tested]()
    for m in results.first["metrics"]:
        name = f"{m['task']}.{m['key']}"
        if m["key"] in values.get(m["task"], {}) and name not in metrics:
            unit = f" ({m['unit']})" if m["unit"] else ""
            task = str(m["task"]).replace("_", " ").capitalize()
            metrics[name] = Tested(name, task, f"{m['title']}{unit}", int(m["digits"]), str(m["better"]))
    return list(metrics.values())


def _per_image(results: Results, method: str, tested: Sequence[Tested]) -> dict[str, dict[str, float]]:
    """Metric id to image to the mean over a method's runs."""
    columns: dict[str, list[_Column]] = {metric.id: [] for metric in tested}
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
    return {name: _mean(kept) for name, kept in columns.items()}


def _mean(columns: Sequence[_Column]) -> dict[str, float]:
    """`mean_over_seeds`, by arrays where all runs have the same images."""
    if len({id(ids) for ids, _ in columns}) == 1:
        return mean_over_rows(columns[0][0], np.stack([values for _, values in columns]))
    return mean_over_seeds([dict(zip(ids, values.tolist(), strict=True)) for ids, values in columns])
