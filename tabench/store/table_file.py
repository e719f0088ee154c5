"""A flat table of records as a Parquet or CSV file, written in pieces: its rows need not fit into memory."""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tabench.errors import StoreError
from tabench.store.atomic import replacing
from tabench.store.rows import Block, Column
from tabench.text import no_formula

if TYPE_CHECKING:
    import pyarrow

GROUP = 200_000  # rows held at once, and rows of a Parquet row group
SUFFIXES = (".parquet", ".csv")


def check_target(path: Path) -> None:
    """Find out before anything is read whether a table can be written there.

    Raises:
        StoreError: The name has neither suffix, or pyarrow is missing.
    """
    if path.suffix not in SUFFIXES:
        raise StoreError("is neither .parquet nor .csv", where=str(path), hint="choose --out FILE.parquet")
    if path.suffix == ".parquet":
        try:
            import pyarrow.parquet  # noqa: F401
        except ImportError as error:
            hint = f"pip install 'tabench[parquet]', or --out {path.with_suffix('.csv')}"
            raise StoreError("pyarrow, which writes Parquet, is not installed", hint=hint) from error


def write_table(path: Path, columns: Sequence[Column], blocks: Iterable[Block]) -> int:
    """Write a table whole or not at all; the same blocks give the same bytes.

    Args:
        path: A .parquet or .csv file.
        columns: Its columns, from left to right.
        blocks: Its rows.

    Returns:
        The number of rows.

    Raises:
        StoreError: The path cannot be written, or what `blocks` raises.
    """
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
    schema = pa.schema(
        [
            pa.field(c.name, types[c.kind], metadata={"unit": c.unit, "description": c.meaning})
            for c in columns
        ]
    )
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
