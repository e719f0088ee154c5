"""A cell that two experiments have is run once: the second takes the first one's record."""

from __future__ import annotations

import shutil
from pathlib import Path

from tabench.errors import StoreError
from tabench.store.atomic import write_bytes, write_json
from tabench.store.encoding import read_object
from tabench.store.layout import CellFolder, ExperimentFolder
from tabench.store.record import load_record

_OWN = {"claim.json", "failure.json", "journal.jsonl", "record.json", "run.json"}


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

    Raises:
        StoreError: The folder cannot be written.
    """
    source = finished_elsewhere(folder)
    if source is None:
        return False
    try:
        record = load_record(source.record)
    except StoreError:
        return False
    theirs = ExperimentFolder(source.root, source.experiment).truth(record.cell.dataset.content)
    ours = ExperimentFolder(folder.root, folder.experiment).truth(record.cell.dataset.content)
    files = {path: ours / path.name for path in theirs.glob("[!.]*.png") if not (ours / path.name).exists()}
    for path in source.path.rglob("*"):
        inner = path.relative_to(source.path)
        if path.is_file() and inner.parts[0] not in (*_OWN, "checkpoint") and not path.name.endswith(".tmp"):
            files[path] = folder.path / inner
    for old, new in files.items():
        write_bytes(new, old.read_bytes())
    if source.run.is_file():
        write_json(folder.run, read_object(source.run) | {"adopted_from": source.experiment})
    shutil.rmtree(folder.checkpoint, ignore_errors=True)
    write_bytes(folder.record, source.record.read_bytes())
    return True
