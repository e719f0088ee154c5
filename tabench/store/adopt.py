"""Records that were made elsewhere: of the same cell in another experiment, or of another results folder."""

from __future__ import annotations

import contextlib
import datetime
import getpass
import hashlib
import shutil
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from tabench import __version__
from tabench.errors import StoreError
from tabench.store.atomic import copy_file, write_bytes, write_json
from tabench.store.checksums import outcome_files
from tabench.store.claim import Claim, ClaimedError
from tabench.store.encoding import flat, read_json, read_object
from tabench.store.folders import CellFolder, ExperimentFolder, is_name
from tabench.store.record import Record, load_record
from tabench.store.verify import WeightsCheck, record_problems
from tabench.text import few


def finished_elsewhere(folder: CellFolder) -> CellFolder | None:
    """The folder of the same cell, finished, in another experiment of the results folder."""
    for path in sorted(Path(folder.root).glob(f"*/{folder.cell_id}/record.json")):
        experiment = path.parent.parent.name
        if experiment != folder.experiment:
            return CellFolder(folder.root, experiment, folder.cell_id)
    return None


def adopt(folder: CellFolder) -> bool:
    """Copy a finished cell of another experiment, the record last, if there is one that can be read.

    run.json says where it is from.
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

    experiment: str
    cell_id: str
    # "taken", "same" (here already, byte for byte), "conflict" (another record is here), "damaged" (left out)
    # or "busy" (a process runs the cell here)
    state: Literal["taken", "same", "conflict", "damaged", "busy"]
    message: str = ""  # what differs or is wrong, and what to do


def experiments_in(results: Path) -> list[str]:
    """Names of experiments with records or an experiment.json in a results folder."""
    found = {path.parent.name for path in results.glob("*/experiment.json")}
    found |= {path.parent.parent.name for path in results.glob("*/*/record.json")}
    return sorted(filter(is_name, found))


def merge_results(source: Path, results: Path, check_weights: WeightsCheck) -> list[MergedCell]:
    """Adopt all records of another results folder: checked, whole, never in the place of different ones.

    The source is only read; `check_weights` is as for `verify_experiment`.

    Raises:
        StoreError: There is nothing to merge, both are the same folder, or `results` cannot be written.
    """
    names = experiments_in(source)
    if not names:
        hint = "give the folder that holds the experiments' folders"
        raise StoreError("no results here", where=str(source), hint=hint)
    if source.resolve() == results.resolve():
        raise StoreError("is the results folder itself", where=str(source), hint="give another one")
    merged = []
    for name in names:
        theirs, ours = ExperimentFolder(source, name), ExperimentFolder(results, name)
        ids = [path.parent.name for path in sorted(theirs.path.glob("*/record.json"))]
        cells = [_merge_cell(theirs.cell(one), ours.cell(one), check_weights) for one in filter(is_name, ids)]
        _merge_experiment(theirs, ours, [c.cell_id for c in cells if c.state in ("taken", "same")])
        merged += cells
    return merged


def _merge_cell(theirs: CellFolder, ours: CellFolder, check_weights: WeightsCheck) -> MergedCell:
    become = partial(MergedCell, ours.experiment, ours.cell_id)
    if ours.record.is_file() and ours.record.read_bytes() == theirs.record.read_bytes():
        return become("same")
    problems = [p for p in record_problems(theirs, check_weights) if p.level == "problem"]
    if problems:
        return become("damaged", "; ".join(f"{problem.where}: {problem.message}" for problem in problems))
    try:
        with Claim(ours.claim):
            if not ours.record.is_file():
                _take(theirs, ours)
                return become("taken")
    except ClaimedError as error:
        return become("busy", error.message)
    try:
        here, there = (flat(load_record(one.record).model_dump(mode="json")) for one in (ours, theirs))
        keys = [key for key in {**here, **there} if here.get(key) != there.get(key)]
        what = f"the records differ in {few(keys, 3)}" if keys else "the records say the same in other bytes"
    except StoreError as error:
        what = f"the record here cannot be read ({error.message})"
    return become("conflict", f"{what}; both are kept; to take the other one, move {ours.path} away")


def _take(theirs: CellFolder, ours: CellFolder) -> None:
    """Copy a finished cell, its record last; only files that a cell is made of.

    Journal, checkpoint and failure of tries here give way to those of the run that finished.
    """
    record, content = load_record(theirs.record), theirs.record.read_bytes()
    _copy(theirs, ours, record, [*outcome_files(theirs), theirs.checksums, theirs.run, theirs.journal_file])
    user = ""
    with contextlib.suppress(KeyError, OSError):  # a container without a user table
        user = getpass.getuser()
    provenance = {
        "from": str(theirs.path.resolve()),
        "when": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "by": user,
        "tabench": __version__,
        "record_sha256": hashlib.sha256(content).hexdigest(),
    }
    with contextlib.suppress(StoreError):  # it has come a longer way, or it has not
        provenance["before"] = read_json(theirs.merged_from)
    write_json(ours.merged_from, provenance)
    ours.clear_failure()
    write_bytes(ours.record, content)
    shutil.rmtree(ours.checkpoint, ignore_errors=True)


def _merge_experiment(theirs: ExperimentFolder, ours: ExperimentFolder, taken: list[str]) -> None:
    """Name the cells that were taken in experiment.json; what else it says here stays as it is."""
    there = theirs.read_experiment() if taken and theirs.experiment_json.is_file() else {}
    here = ours.read_experiment() if taken and ours.experiment_json.is_file() else {**there, "cells": {}}
    if not (taken and (there or ours.experiment_json.is_file())):
        return
    labels, known = dict(there.get("cells") or {}), dict(here.get("cells") or {})
    for one in taken:
        known.setdefault(one, labels.get(one) or load_record(ours.cell(one).record).label)
    ours.write_experiment({**here, "cells": known})
