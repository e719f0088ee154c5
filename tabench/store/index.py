"""All cells of an experiment at once."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, Field

from tabench.errors import StoreError
from tabench.spec.cell import Cell
from tabench.store.file_cache import Facts, FileCache
from tabench.store.folders import CellFolder, CellState, ExperimentFolder, is_name
from tabench.store.record import RECORD_VERSION

INDEX_FILE = ".index.json"


@dataclass(frozen=True, slots=True)
class Known:
    """What planning needs to know of a cell that has files."""

    cell_id: str  # name of its folder
    state: CellState  # what its files say
    settings: str = ""  # the cell's JSON without the seed, keys sorted; "" unless a record can be read
    method: str = ""  # method name; "" unless a record can be read
    seed: int = -1  # seed; -1 unless a record can be read
    wall_s: float | None = None  # seconds of its run; None where not known
    finished: str = ""  # end of its run, ISO 8601; "" where not known
    kind: str = ""  # why it failed, as in failure.json; "" unless failed
    message: str = ""  # the failure's message; "" unless failed
    problem: str = ""  # what is wrong with a file of it; "" if nothing is

    def cell(self) -> Cell:
        """The cell of the record; only if `settings` is not empty."""
        return cell_of(self.settings, self.seed)


@dataclass(frozen=True)
class Index:
    """The cells of an experiment's folder, by id; pending ones are left out."""

    cells: dict[str, Known] = field(default_factory=dict)

    def state(self, cell_id: str) -> CellState:
        """State of a cell; "pending" without files."""
        known = self.cells.get(cell_id)
        return known.state if known else "pending"

    @property
    def recorded(self) -> list[Known]:
        """Cells whose record can be read."""
        return [known for known in self.cells.values() if known.settings]


def settings_of(cell: Cell) -> str:
    """A cell's JSON without the seed, keys sorted: equal for cells that differ in the seed alone."""
    return json.dumps(cell.model_dump(mode="json", exclude={"seed"}), sort_keys=True)


def cell_of(settings: str, seed: int) -> Cell:
    """The inverse of `settings_of`."""
    return Cell.model_validate({**json.loads(settings), "seed": seed})


def read_index(results_dir: str | Path, experiment: str) -> Index:
    """What is known of every cell: as a read of all files tells it, which `INDEX_FILE` spares (`FileCache`).

    Records are read for their cell only; `load_record` checks the rest.
    """
    root = Path(results_dir)
    folder = ExperimentFolder(root, experiment).path
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if is_name(entry.name) and entry.is_dir())
    except (FileNotFoundError, NotADirectoryError):
        return Index()
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror or error}", where=str(folder)) from error
    cache = FileCache(folder / INDEX_FILE)
    index = _index(cache, root, experiment, names)
    cache.save()
    return index


def read_cells(results_dir: str | Path, experiment: str, names: Iterable[str]) -> Index:
    """What is known of some cells, read from their files now: for a look at the few that are not done."""
    root = Path(results_dir)
    cache = FileCache(ExperimentFolder(root, experiment).path / INDEX_FILE, load=False)  # and is not saved
    return _index(cache, root, experiment, names)


def _index(cache: FileCache, root: Path, experiment: str, names: Iterable[str]) -> Index:
    found = (_known(cache, root, experiment, name) for name in names)
    return Index({known.cell_id: known for known in found if known.state != "pending"})


def _known(cache: FileCache, root: Path, experiment: str, name: str) -> Known:
    record = cache.facts(f"{name}/record.json", _record_facts)
    if record is None:
        state = CellFolder(root, experiment, name).state()
        if state == "failed":
            failure = cache.facts(f"{name}/failure.json", _failure_facts) or {}
            return Known(name, state, **failure)
        if state != "done":  # else the record came just now: it will be seen the next time
            return Known(name, state)
        record = cache.facts(f"{name}/record.json", _record_facts) or {}
    run = cache.facts(f"{name}/run.json", _run_facts) or {}
    return Known(name, "done", **{**run, **record})


# the keys that planning needs; what else a file holds is parsed, but never made objects of


class _Head(BaseModel):
    record_version: Literal[1]
    cell_id: str
    cell: Cell


class _Run(BaseModel):
    wall_s: Annotated[float, Field(allow_inf_nan=False)] | None = None
    finished: Annotated[str, BeforeValidator(lambda given: given or "")] = ""


class _Failure(BaseModel):
    kind: str
    message: str


def _record_facts(content: bytes) -> Facts:
    try:
        head = _Head.model_validate_json(content)
    except ValueError:
        return {"problem": f"record.json is damaged, or not of version {RECORD_VERSION}"}
    cell = head.cell
    if cell.id != head.cell_id:
        return {"problem": f"record.json names cell {head.cell_id} but holds {cell.id}"}
    return {"settings": settings_of(cell), "method": cell.method.name, "seed": cell.seed}


def _run_facts(content: bytes) -> Facts:
    try:
        return _Run.model_validate_json(content).model_dump()
    except ValueError:
        return {"problem": "run.json is damaged"}


def _failure_facts(content: bytes) -> Facts:
    try:
        return _Failure.model_validate_json(content).model_dump()
    except ValueError:
        return {"problem": "failure.json is damaged"}
