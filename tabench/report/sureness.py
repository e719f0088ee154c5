"""Paired tests over images: is a method's distance from TA-LoRA more than luck of the images?"""

from __future__ import annotations

from dataclasses import dataclass

from tabench.report.reading import Results
from tabench.stats.paired import Comparison, compare, holm, mean_over_seeds


@dataclass(frozen=True)
class Contrast:
    """One method against the reference in one metric.

    Attributes:
        method: Row key.
        metric: "task.key".
        title: The metric's heading ("Depth: Abs. err. (m)").
        digits: Decimals shown.
        better: "higher" or "lower".
        comparison: Difference method - reference over images, with interval and raw p-value.
        p_holm: p-value after Holm's correction over all rows of the table.
    """

    method: str
    metric: str
    title: str
    digits: int
    better: str
    comparison: Comparison
    p_holm: float


def reference_method(results: Results) -> str | None:
    """The last method of the experiment's grid, if it has a finished run."""
    grid = results.report.get("grid") or []
    row = results.row(str(grid[-1])) if grid else None
    return row if row is not None and results.of(row) else None


def contrasts(results: Results) -> list[Contrast]:
    """Compare every method with the reference on the first metric of each task.

    An image's value is averaged over seeds first: the images are the sample.
    """
    reference = reference_method(results)
    if reference is None:
        return []
    rows = []
    for metric in _first_metrics(results):
        theirs = _per_image(results, reference, metric["task"], metric["key"])
        for method in results.methods:
            mine = _per_image(results, method, metric["task"], metric["key"])
            comparison = compare(mine, theirs)
            if method != reference and comparison.n:
                unit = f" ({metric['unit']})" if metric["unit"] else ""
                name = f"{metric['task'].capitalize()}: {metric['title']}{unit}"
                key = f"{metric['task']}.{metric['key']}"
                rows.append((method, key, name, int(metric["digits"]), str(metric["better"]), comparison))
    corrected = holm([row[-1].p_value for row in rows])
    return [Contrast(*row, p) for row, p in zip(rows, corrected, strict=True)]


def _first_metrics(results: Results) -> list[dict[str, str]]:
    first: dict[str, dict[str, str]] = {}
    for metric in results.first["metrics"]:
        if metric["key"] in results.first["per_image"]["values"].get(metric["task"], {}):
            first.setdefault(metric["task"], metric)
    return list(first.values())


def _per_image(results: Results, method: str, task: str, key: str) -> dict[str, float]:
    columns = []
    for cell in results.of(method):
        images = cell.record["per_image"]
        values = images["values"].get(task, {}).get(key)
        if values is not None:
            columns.append(dict(zip(images["ids"], values, strict=True)))
    return mean_over_seeds(columns)
