"""All records of an experiment at once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tabench.store.encoding import read_json
from tabench.store.layout import CellFolder, CellState, ExperimentFolder
from tabench.store.record import Record, load_record


def read_records(results_dir: str | Path, experiment: str) -> list[Record]:
    """Every finished cell's record, by cell id; empty if there is none.

    Raises:
        StoreError: A record is torn, of a newer version or not valid; the message names the file.
    """
    return [load_record(path) for path in _files(results_dir, experiment, "record.json")]


def read_runs(results_dir: str | Path, experiment: str) -> dict[str, dict[str, Any]]:
    """Cell id to the circumstances of its run, for every cell that has them.

    Raises:
        StoreError: A run.json is torn; the message names the file.
    """
    return {path.parent.name: dict(read_json(path)) for path in _files(results_dir, experiment, "run.json")}


def read_states(results_dir: str | Path, experiment: str, ids: list[str]) -> dict[str, CellState]:
    """Cell id to state, for the cells of a plan."""
    root = Path(results_dir)
    return {cell_id: CellFolder(root, experiment, cell_id).state() for cell_id in ids}


def _files(results_dir: str | Path, experiment: str, name: str) -> list[Path]:
    folder = ExperimentFolder(Path(results_dir), experiment).path
    return sorted(folder.glob(f"*/{name}"))
