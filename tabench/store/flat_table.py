"""Records as one flat table, Parquet or CSV, written in pieces: its rows need not fit into memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from tabench.errors import StoreError
from tabench.store.atomic import replacing
from tabench.store.folders import CellFolder, ExperimentFolder, is_name
from tabench.store.record import Record, load_record
from tabench.text import no_formula

if TYPE_CHECKING:
    import pandas as pd

GROUP = 200_000  # rows held at once, and rows of a Parquet row group
SUFFIXES = (".parquet", ".csv")
_TYPES = {
    "text": "string",
    "integer": "Int64",
    "number": "Float64",
    "truth": "boolean",
}  # as pandas names them
# column to the type of its values, any of which may be missing; docs/table.md says what they are
_CELL = {
    **dict.fromkeys(("cell_id", "experiment", "label", "dataset"), "text"),
    "synthetic": "truth",
    **dict.fromkeys(("backbone", "method", "params", "balancing"), "text"),
    "seed": "integer",
}
_METRIC = dict.fromkeys(("task", "metric", "title", "unit", "better"), "text")
_RUN = {
    **dict.fromkeys(("parameters_trained", "parameters_total"), "integer"),
    **dict.fromkeys(("wall_s", "train_s", "eval_s", "peak_rss_mb", "peak_gpu_mb"), "number"),
    **dict.fromkeys(("device", "started", "finished", "tabench", "commit"), "text"),
    "dirty": "truth",
}
_VALUE = {"protocol": "text", "protocol_version": "integer", "value": "number"}
METRIC_TABLE = {**_CELL, **_METRIC, **_VALUE, **_RUN}
IMAGE_TABLE = {**_CELL, **_METRIC, "image": "text", "value": "number"}
_NAMED = {"metric": "key", "protocol_version": "version"}  # columns that `Metric` calls otherwise
Rows = dict[str, list[Any]]  # column to values, one a row


def recorded_cells(folder: ExperimentFolder) -> list[CellFolder]:
    """Cells with a record that the experiment names, in its order; without names all, by id."""
    named = list(dict(folder.read_experiment().get("cells") or {}))
    found = (path.parent.name for path in sorted(folder.path.glob("*/record.json")))
    cells = (folder.cell(name) for name in (named or filter(is_name, found)))
    return [cell for cell in cells if cell.record.is_file()]


def metric_rows(folder: CellFolder, label: str | None) -> Rows:
    """A finished cell's row for each task, metric and protocol (`METRIC_TABLE`); None takes its own label."""
    record = load_record(folder.record)
    same = _cell(folder, record, label) | _run(record, folder.read_run())
    rows: Rows = {name: [value] * len(record.metrics) for name, value in same.items()}
    for name in (*_METRIC, *_VALUE):
        rows[name] = [getattr(metric, _NAMED.get(name, name)) for metric in record.metrics]
    return rows


def image_rows(folder: CellFolder, label: str | None) -> Rows:
    """A finished cell's row for each task, metric and image (`IMAGE_TABLE`); as above."""
    record = load_record(folder.record)
    known = {(metric.task, metric.key): metric for metric in reversed(record.metrics)}
    ids, rows = record.per_image.ids, {name: list[Any]() for name in (*_METRIC, "image", "value")}
    for task, metrics in record.per_image.values.items():
        for key, values in metrics.items():
            facts = {name: getattr(known.get((task, key)), name, None) for name in _METRIC}
            for name, value in {**facts, "task": task, "metric": key}.items():
                rows[name] += [value] * len(ids)
            rows["image"] += ids
            rows["value"] += values
    same = _cell(folder, record, label)
    return rows | {name: [value] * len(rows["image"]) for name, value in same.items()}


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
    return {name: facts.get(name) for name in _RUN}


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


def write_table(path: Path, columns: Mapping[str, str], cells: Iterable[Rows]) -> int:
    """Write a .parquet or .csv file whole, equal rows in equal bytes; the number of its rows."""
    check_target(path)
    with replacing(path) as file:
        write = _write_csv if path.suffix == ".csv" else _write_parquet
        return write(file, columns, _pieces(columns, cells))


def _pieces(columns: Mapping[str, str], cells: Iterable[Rows]) -> Iterator[pd.DataFrame]:
    """Neighbouring cells' rows, `GROUP` of them or a few more at a time."""
    import pandas as pd

    types = {name: _TYPES[kind] for name, kind in columns.items()}
    held: Rows = {name: [] for name in columns}
    for cell in cells:
        for name, values in held.items():
            values += cell[name]
        if len(values) >= GROUP:
            yield pd.DataFrame(held, dtype=object).astype(types)
            held = {name: [] for name in columns}
    if any(held.values()):
        yield pd.DataFrame(held, dtype=object).astype(types)


def _write_csv(file: BinaryIO, columns: Mapping[str, str], pieces: Iterable[pd.DataFrame]) -> int:
    """Missing values are empty, truth values "true" and "false"; no text is one that spreadsheets execute."""
    rows = 0
    for piece in pieces:
        for name, kind in columns.items():
            if kind == "text":
                piece[name] = piece[name].map(no_formula, na_action="ignore")
            elif kind == "truth":
                piece[name] = piece[name].map({True: "true", False: "false"})
        file.write(piece.to_csv(index=False, header=not rows, lineterminator="\n").encode())
        rows += len(piece)
    return rows


def _write_parquet(file: BinaryIO, columns: Mapping[str, str], pieces: Iterable[pd.DataFrame]) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {"text": pa.string(), "integer": pa.int64(), "number": pa.float64(), "truth": pa.bool_()}
    schema, rows = pa.schema([(name, types[kind]) for name, kind in columns.items()]), 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for piece in pieces:
            writer.write_table(pa.Table.from_pandas(piece, schema, preserve_index=False))
            rows += len(piece)
    return rows
