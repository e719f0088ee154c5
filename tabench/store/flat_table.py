"""Records as one flat table, Parquet or CSV, written in pieces: its rows need not fit into memory."""

from __future__ import annotations

import csv
import io
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tabench.errors import StoreError
from tabench.store.atomic import replacing
from tabench.store.folders import CellFolder, ExperimentFolder, is_name
from tabench.store.record import Record, load_record
from tabench.store.sidecars import RunSidecar, read_sidecar
from tabench.text import no_formula

if TYPE_CHECKING:
    import pyarrow

GROUP = 200_000  # rows held at once, and rows of a Parquet row group
SUFFIXES = (".parquet", ".csv")


@dataclass(frozen=True)
class Column:
    """One column of a table."""

    name: str  # what it is called
    # type of its values; every one of them may be missing, too
    kind: Literal["text", "integer", "number", "truth"]
    unit: str  # unit, "" where there is none
    meaning: str  # what it says


CELL = (
    Column("cell_id", "text", "", "hash of the cell's specification, the name of its folder"),
    Column("experiment", "text", "", "name of the experiment"),
    Column("label", "text", "", "method, what tells it from its variants, seed"),
    Column("dataset", "text", "", "registry name of the data"),
    Column("synthetic", "truth", "", "whether the data are synthetic: not the paper's data or numbers"),
    Column("backbone", "text", "", "registry name of the SAM variant"),
    Column("method", "text", "", "registry name of the method"),
    Column("params", "text", "", "its hyper-parameters, a JSON object with sorted keys"),
    Column("balancing", "text", "", "registry name of how the tasks' losses became one step"),
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
_METRIC_KEYS = {"metric": "key", "protocol_version": "version"}  # columns that `Metric` calls otherwise


@dataclass(frozen=True)
class Block:
    """Neighbouring rows."""

    same: Mapping[str, Any]  # column to the value that all of them have
    each: Mapping[str, Sequence[Any]]  # column to one value a row

    def __len__(self) -> int:
        return len(next(iter(self.each.values())))


def recorded_cells(folder: ExperimentFolder) -> list[CellFolder]:
    """Cells with a record that the experiment names, in its order; without names all, by id."""
    named = list(dict(folder.read_experiment().get("cells") or {}))
    found = (path.parent.name for path in sorted(folder.path.glob("*/record.json")))
    cells = (folder.cell(name) for name in (named or filter(is_name, found)))
    return [cell for cell in cells if cell.record.is_file()]


def metric_blocks(folder: CellFolder, label: str | None) -> Iterator[Block]:
    """A cell's row for each task, metric and protocol (`METRIC_TABLE`).

    Args:
        folder: A cell with a record.
        label: What the experiment calls it; None takes the record's own label.
    """
    record = load_record(folder.record)
    names = [*(column.name for column in METRIC), "protocol", "protocol_version", "value"]
    each = {name: [getattr(m, _METRIC_KEYS.get(name, name)) for m in record.metrics] for name in names}
    run = read_sidecar(folder.run, RunSidecar) if folder.run.is_file() else {}
    yield Block({**_cell(folder, record, label), **_run(record, run)}, each)


def image_blocks(folder: CellFolder, label: str | None) -> Iterator[Block]:
    """A cell's row for each task, metric and image (`IMAGE_TABLE`); arguments and errors as above."""
    record = load_record(folder.record)
    known = {(metric.task, metric.key): metric for metric in reversed(record.metrics)}
    cell = _cell(folder, record, label)
    for task, metrics in record.per_image.values.items():
        for key, values in metrics.items():
            facts = {
                name: getattr(known.get((task, key)), name, None) for name in ("title", "unit", "better")
            }
            same = {**cell, "task": task, "metric": key, **facts}
            yield Block(same, {"image": record.per_image.ids, "value": values})


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
        "balancing": cell.balancing.name,
        "seed": cell.seed,
    }


def _run(record: Record, run: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of `RUN`; most of them are keys of run.json."""
    environment = dict(run.get("environment") or {})
    git = dict(environment.get("git") or {})
    facts = {
        **run,
        "parameters_trained": record.parameters.trained,
        "parameters_total": record.parameters.total,
        "tabench": dict(environment.get("packages") or {}).get("tabench"),
        "commit": git.get("commit"),
        "dirty": git.get("dirty"),
    }
    found = {column.name: facts.get(column.name) for column in RUN}
    whole = {column.name for column in RUN if column.kind == "number"}  # JSON may hold 3 for 3.0
    return {name: float(v) if name in whole and v is not None else v for name, v in found.items()}


def check_target(path: Path) -> None:
    """Find out before anything is read whether a table can be written there."""
    if path.suffix not in SUFFIXES:
        raise StoreError("is neither .parquet nor .csv", where=str(path), hint="choose --out FILE.parquet")
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            hint = f"pip install 'tabench[parquet]', or --out {path.with_suffix('.csv')}"
            raise StoreError("pyarrow, which writes Parquet, is not installed", hint=hint) from error


def write_table(path: Path, columns: Sequence[Column], blocks: Iterable[Block]) -> int:
    """Write a .parquet or .csv file whole, equal blocks in equal bytes; the number of its rows."""
    check_target(path)
    return (_write_csv if path.suffix == ".csv" else _write_parquet)(path, columns, blocks)


def _write_csv(path: Path, columns: Sequence[Column], blocks: Iterable[Block]) -> int:
    """Missing values are empty, truth values "true" and "false"; no text is one that spreadsheets execute."""
    rows = 0
    with replacing(path) as file:
        text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
        lines = csv.writer(text, lineterminator="\n")
        lines.writerow([column.name for column in columns])
        for block in blocks:
            lines.writerows(zip(*(_texts(block, column) for column in columns), strict=True))
            rows += len(block)
        text.detach()
    return rows


def _texts(block: Block, column: Column) -> Iterable[Any]:
    values: Iterable[Any]
    if column.name in block.each:
        values = block.each[column.name]
    else:
        values = itertools.repeat(block.same.get(column.name), len(block))
    if column.kind == "truth":
        return ({None: None, True: "true", False: "false"}[value] for value in values)
    if column.kind == "text":
        return (value if value is None else no_formula(value) for value in values)
    return values


def _write_parquet(path: Path, columns: Sequence[Column], blocks: Iterable[Block]) -> int:
    """A column's unit and meaning stand in its metadata."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "truth": pa.bool_()}
    fields = [
        pa.field(c.name, types[c.kind], metadata={"unit": c.unit, "description": c.meaning}) for c in columns
    ]
    schema = pa.schema(fields)
    rows = 0
    with replacing(path) as file, pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for group in _groups(blocks):
            arrays = [_array(group, column, types[column.kind]) for column in columns]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=GROUP)
            rows += sum(map(len, group))
    return rows


def _groups(blocks: Iterable[Block]) -> Iterator[list[Block]]:
    held: list[Block] = []
    rows = 0
    for block in blocks:
        held.append(block)
        rows += len(block)
        if rows >= GROUP:
            yield held
            held, rows = [], 0
    if held:
        yield held


def _array(group: Sequence[Block], column: Column, kind: pyarrow.DataType) -> pyarrow.Array:
    """A column of neighbouring blocks; a value that a whole block has is repeated by pyarrow."""
    import pyarrow as pa
    import pyarrow.compute as pc

    name = column.name
    if name in group[0].each:
        return pa.concat_arrays([pa.array(block.each[name], type=kind) for block in group])
    ends = list(itertools.accumulate(map(len, group)))
    once = pa.array([block.same.get(name) for block in group], type=kind)
    return pc.run_end_decode(pa.RunEndEncodedArray.from_arrays(pa.array(ends, type=pa.int32()), once))
