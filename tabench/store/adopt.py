"""Records that were made elsewhere: of the same cell in another experiment, or of another results folder."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import hashlib
import shutil
import socket
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tabench import __version__
from tabench.errors import StoreError
from tabench.store.atomic import copy_file, write_bytes, write_json
from tabench.store.checksums import outcome_files
from tabench.store.claim import Claim, ClaimedError
from tabench.store.encoding import read_json, read_object
from tabench.store.folders import CellFolder, ExperimentFolder, is_name
from tabench.store.record import Record, load_record
from tabench.store.verify import WeightsCheck, record_problems
from tabench.text import few

State = Literal["taken", "same", "conflict", "damaged", "busy"]


def finished_elsewhere(folder: CellFolder) -> CellFolder | None:
    """The folder of the same cell, finished, in another experiment of the results folder."""
    for path in sorted(Path(folder.root).glob(f"*/{folder.cell_id}/record.json")):
        experiment = path.parent.parent.name
        if experiment != folder.experiment:
            return CellFolder(folder.root, experiment, folder.cell_id)
    return None


def adopt(folder: CellFolder) -> bool:
    """Copy a finished cell of another experiment, the record last; run.json says where it is from.

    Returns:
        Whether there was one. A record that cannot be read is not taken.
    """
    source = finished_elsewhere(folder)
    if source is None:
        return False
    try:
        record = load_record(source.record)
    except StoreError:
        return False
    _copy(source, folder, record, [*outcome_files(source), source.checksums, source.merged_from])
    if source.run.is_file():
        write_json(folder.run, read_object(source.run) | {"adopted_from": source.experiment})
    shutil.rmtree(folder.checkpoint, ignore_errors=True)
    write_bytes(folder.record, source.record.read_bytes())
    return True


def _copy(source: CellFolder, target: CellFolder, record: Record, files: Iterable[Path]) -> None:
    """Copy files of a finished cell, and the pictures of its truth that are not there yet; no links."""
    content = record.cell.dataset.content
    pairs = {path: target.path / path.relative_to(source.path) for path in files}
    for path in sorted(source.truth(content).glob("[!.]*.png")):
        if not (target.truth(content) / path.name).exists():
            pairs[path] = target.truth(content) / path.name
    for path, place in pairs.items():
        if path.is_file() and not path.is_symlink():
            copy_file(path, place)


@dataclass(frozen=True)
class MergedCell:
    """What became of one record of the other folder."""

    experiment: str  # its experiment
    cell_id: str  # its cell
    # "taken", "same" (here already, byte for byte), "conflict" (another record is here), "damaged" (left out)
    # or "busy" (a process runs the cell here)
    state: State
    message: str = ""  # what differs or is wrong, and what to do


@dataclass
class Merged:
    """All records of the other folder."""

    cells: list[MergedCell] = field(default_factory=list)

    def counts(self) -> dict[str, int]:
        """State to number of cells."""
        return dict(Counter(cell.state for cell in self.cells))

    @property
    def left_out(self) -> bool:
        """Whether a record was not taken that is not here either."""
        return any(cell.state not in ("taken", "same") for cell in self.cells)


def experiments_in(results: Path) -> list[str]:
    """Names of experiments with records or an experiment.json in a results folder."""
    found = {path.parent.name for path in results.glob("*/experiment.json")}
    found |= {path.parent.parent.name for path in results.glob("*/*/record.json")}
    return sorted(filter(is_name, found))


def merge_results(source: Path, results: Path, check_weights: WeightsCheck) -> Merged:
    """Adopt all records of another results folder: checked, whole, never in the place of different ones.

    Args:
        source: The other folder; only read.
        results: The folder that gets them.
        check_weights: As for `verify_experiment`.

    Raises:
        StoreError: There is nothing to merge, both are the same folder, or `results` cannot be written.
    """
    names = experiments_in(source)
    if not names:
        hint = "give the folder that holds the experiments' folders"
        raise StoreError("no results here", where=str(source), hint=hint)
    if source.resolve() == results.resolve():
        raise StoreError("is the results folder itself", where=str(source), hint="give another one")
    merged = Merged()
    for name in names:
        theirs, ours = ExperimentFolder(source, name), ExperimentFolder(results, name)
        taken = {}
        for path in sorted(theirs.path.glob("*/record.json")):
            if is_name(path.parent.name):
                mine = ours.cell(path.parent.name)
                state, message = _merge_cell(theirs.cell(mine.cell_id), mine, check_weights)
                merged.cells.append(MergedCell(name, mine.cell_id, state, message))
                if state in ("taken", "same"):
                    taken[mine.cell_id] = load_record(mine.record).label
        _merge_experiment(theirs, ours, taken)
    return merged


def _merge_cell(theirs: CellFolder, ours: CellFolder, check_weights: WeightsCheck) -> tuple[State, str]:
    if ours.record.is_file() and ours.record.read_bytes() == theirs.record.read_bytes():
        return "same", ""
    problems = [p for p in record_problems(theirs, check_weights) if p.level == "problem"]
    if problems:
        return "damaged", "; ".join(f"{problem.where}: {problem.message}" for problem in problems)
    try:
        with Claim(ours.claim):
            if not ours.record.is_file():
                _take(theirs, ours, load_record(theirs.record))
                return "taken", ""
    except ClaimedError as error:
        return "busy", error.message
    return "conflict", _conflict(theirs, ours)


def _conflict(theirs: CellFolder, ours: CellFolder) -> str:
    hint = f"both are kept; to take the other one, move {ours.path} away and merge again"
    try:
        here = load_record(ours.record).model_dump(mode="json")
    except StoreError as error:
        return f"the record here cannot be read ({error.message}); {hint}"
    keys = list(differing(here, load_record(theirs.record).model_dump(mode="json")))
    return f"the records {f'differ in {few(keys, 3)}' if keys else 'say the same in other bytes'}; {hint}"


def differing(one: Any, other: Any, place: str = "") -> Iterator[str]:
    """Paths of the values that differ in two JSON values, such as "metrics.0.value"."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in {**one, **other}:
            inner = f"{place}.{key}" if place else str(key)
            if key not in one or key not in other:
                yield inner
            else:
                yield from differing(one[key], other[key], inner)
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from differing(a, b, f"{place}.{index}")
    elif one != other:
        yield place


def _take(theirs: CellFolder, ours: CellFolder, record: Record) -> None:
    """Copy a finished cell, its record last; only files that a cell is made of.

    Journal, checkpoint and failure of tries here give way to those of the run that finished.
    """
    _copy(theirs, ours, record, [*outcome_files(theirs), theirs.checksums, theirs.run, theirs.journal_file])
    content = theirs.record.read_bytes()
    provenance = {
        "from": str(theirs.path.resolve()),
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "by": _user(),
        "tabench": __version__,
        "record_sha256": hashlib.sha256(content).hexdigest(),
    }
    if theirs.merged_from.is_file():  # it has come a longer way
        with contextlib.suppress(StoreError):
            provenance["before"] = read_json(theirs.merged_from)
    write_json(ours.merged_from, provenance)
    ours.clear_failure()
    write_bytes(ours.record, content)
    shutil.rmtree(ours.checkpoint, ignore_errors=True)


def _merge_experiment(theirs: ExperimentFolder, ours: ExperimentFolder, taken: dict[str, str]) -> None:
    """Name the cells that were taken in experiment.json; what else it says here stays as it is."""
    there = theirs.read_experiment() if taken and theirs.experiment_json.is_file() else {}
    if taken and ours.experiment_json.is_file():
        content = ours.read_experiment()
    elif there:
        content = {**there, "cells": {}}
    else:
        return
    labels = there.get("cells") or {}
    known = dict(content.get("cells") or {})
    more = {cell_id: labels.get(cell_id, label) for cell_id, label in taken.items() if cell_id not in known}
    ours.write_experiment({**content, "cells": {**known, **more}})


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container without a user table
        return ""
