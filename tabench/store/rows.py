"""Records as one flat table for analysis: what its columns are, and the rows of each cell."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tabench.store.beside import Run, read_beside
from tabench.store.layout import CellFolder, ExperimentFolder, is_name
from tabench.store.record import Record, load_record


@dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        name: What it is called.
        kind: Type of its values; every one of them may be missing, too.
        unit: Unit, "" where there is none.
        meaning: What it says.
    """

    name: str
    kind: Literal["text", "integer", "number", "truth"]
    unit: str
    meaning: str


CELL = (
    Column("cell_id", "text", "", "hash of the cell's specification, the name of its folder"),
    Column("experiment", "text", "", "name of the experiment"),
    Column("label", "text", "", "method, what tells it from its variants, seed"),
    Column("dataset", "text", "", "registry name of the data"),
    Column("synthetic", "truth", "", "whether the data are synthetic: not the paper's data or numbers"),
    Column("backbone", "text", "", "registry name of the SAM variant"),
    Column("method", "text", "", "registry name of the method"),
    Column("params", "text", "", "its hyper-parameters, a JSON object with sorted keys"),
    Column("seed", "integer", "", "seed"),
)
METRIC = (
    Column("task", "text", "", "task"),
    Column("metric", "text", "", "key of the metric, unique within its task"),
    Column("title", "text", "", "the metric's name in tables"),
    Column("unit", "text", "", 'unit of `value`, "" for a ratio'),
    Column("better", "text", "", '"higher" or "lower"'),
)
RUN = (
    Column("parameters_trained", "integer", "", "parameters that receive a gradient"),
    Column("parameters_total", "integer", "", "all parameters"),
    Column("wall_s", "number", "s", "from the start of the run to its record, on its machine"),
    Column("train_s", "number", "s", "of it, training"),
    Column("eval_s", "number", "s", "of it, evaluation"),
    Column("peak_rss_mb", "number", "MB", "peak main memory of the process"),
    Column("peak_gpu_mb", "number", "MB", "peak memory on the GPU"),
    Column("device", "text", "", "where it ran"),
    Column("started", "text", "", "ISO 8601"),
    Column("finished", "text", "", "ISO 8601"),
    Column("tabench", "text", "", "version of tabench that ran it"),
    Column("commit", "text", "", "git commit of the code that ran it"),
    Column("dirty", "truth", "", "whether that code had uncommitted changes"),
)
METRIC_TABLE = (
    *CELL,
    *METRIC,
    Column("protocol", "text", "", "how the metric is computed"),
    Column("protocol_version", "integer", "", "version of that definition"),
    Column("value", "number", "see unit", "missing where the protocol defines none"),
    *RUN,
)
IMAGE_TABLE = (
    *CELL,
    *METRIC,
    Column("image", "text", "", "id of the evaluated image"),
    Column("value", "number", "see unit", "the image's value; missing where it is not defined"),
)


@dataclass(frozen=True)
class Block:
    """Neighbouring rows.

    Attributes:
        same: Column to the value that all of them have.
        each: Column to one value a row.
    """

    same: Mapping[str, Any]
    each: Mapping[str, Sequence[Any]]

    def __len__(self) -> int:
        return len(next(iter(self.each.values())))


def recorded_cells(folder: ExperimentFolder) -> list[CellFolder]:
    """Cells with a record that the experiment names, in its order; without names all, by id.

    Raises:
        StoreError: There is no such experiment, or its file is torn.
    """
    named = list(dict(folder.read_experiment().get("cells") or {}))
    found = (path.parent.name for path in sorted(folder.path.glob("*/record.json")))
    cells = (folder.cell(name) for name in (named or filter(is_name, found)))
    return [cell for cell in cells if cell.record.is_file()]


def metric_blocks(folder: CellFolder, label: str | None) -> Iterator[Block]:
    """A cell's row for each task, metric and protocol (`METRIC_TABLE`).

    Args:
        folder: A cell with a record.
        label: What the experiment calls it; None takes the record's own label.

    Raises:
        StoreError: A file of the cell is not valid; the message names it.
    """
    record = load_record(folder.record)
    metrics = record.metrics
    each: dict[str, list[Any]] = {
        name: [getattr(metric, key) for metric in metrics]
        for name, key in (
            *(("task", "task"), ("metric", "key"), ("title", "title"), ("unit", "unit")),
            *(("better", "better"), ("protocol", "protocol"), ("protocol_version", "version")),
            ("value", "value"),
        )
    }
    run = read_beside(folder.run, Run) if folder.run.is_file() else {}
    yield Block({**_cell(folder, record, label), **_run(record, run)}, each)


def image_blocks(folder: CellFolder, label: str | None) -> Iterator[Block]:
    """A cell's row for each task, metric and image (`IMAGE_TABLE`); arguments and errors as above."""
    record = load_record(folder.record)
    known = {(metric.task, metric.key): metric for metric in reversed(record.metrics)}
    cell = _cell(folder, record, label)
    for task, metrics in record.per_image.values.items():
        for key, values in metrics.items():
            metric = known.get((task, key))
            names = {
                "task": task,
                "metric": key,
                "title": metric.title if metric else None,
                "unit": metric.unit if metric else None,
                "better": metric.better if metric else None,
            }
            yield Block({**cell, **names}, {"image": record.per_image.ids, "value": values})


def _cell(folder: CellFolder, record: Record, label: str | None) -> dict[str, Any]:
    cell = record.cell
    params = cell.method.model_dump(mode="json")["params"]
    return {
        "cell_id": folder.cell_id,
        "experiment": folder.experiment,
        "label": record.label if label is None else label,
        "dataset": record.data.name,
        "synthetic": record.data.synthetic,
        "backbone": record.backbone.name,
        "method": cell.method.name,
        "params": json.dumps(params, sort_keys=True),
        "seed": cell.seed,
    }


def _run(record: Record, run: Mapping[str, Any]) -> dict[str, Any]:
    environment = dict(run.get("environment") or {})
    git = dict(environment.get("git") or {})
    times = {key: run.get(key) for key in ("wall_s", "train_s", "eval_s", "peak_rss_mb", "peak_gpu_mb")}
    return {
        "parameters_trained": record.parameters.trained,
        "parameters_total": record.parameters.total,
        **{key: None if value is None else float(value) for key, value in times.items()},
        "device": run.get("device"),
        "started": run.get("started"),
        "finished": run.get("finished"),
        "tabench": dict(environment.get("packages") or {}).get("tabench"),
        "commit": git.get("commit"),
        "dirty": git.get("dirty"),
    }
