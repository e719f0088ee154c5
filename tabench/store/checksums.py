"""sha256 of files as a run left them: checksums.json of a cell, sums.json of a checkpoint."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

from tabench.errors import StoreError
from tabench.provenance.files import sha256_file
from tabench.store.atomic import write_json
from tabench.store.encoding import read_object
from tabench.store.folders import CellFolder

FOLDER_SUMS = "sums.json"
LONGEST_NAME = 255  # of a file beside a record


def outcome_files(folder: CellFolder) -> Iterator[Path]:
    """The files that a finished cell is made of, the record aside: analyses, pictures, kept weights.

    Journal and run.json are no part of it (a later command may add to them), and links are passed over.
    """
    found = [folder.factors, folder.architecture]
    found += sorted(folder.path.glob("weights-*.safetensors")) + sorted(folder.pictures.glob("[!.]*.png"))
    yield from (path for path in found if path.is_file() and not path.is_symlink())


def write_sums(folder: CellFolder, record: bytes) -> None:
    """Write checksums.json; it comes before the record, whose content is therefore given."""
    sums = {path.relative_to(folder.path).as_posix(): sha256_file(path) for path in outcome_files(folder)}
    sums[folder.record.name] = hashlib.sha256(record).hexdigest()
    write_json(folder.checksums, dict(sorted(sums.items())))


def read_sums(folder: CellFolder) -> dict[str, str]:
    """Relative path to sha256; empty for a cell that was run before there were any."""
    if not folder.checksums.is_file():
        return {}
    content = read_object(folder.checksums, hint="restore it; without it, only the record is checked")
    if not all(isinstance(value, str) for value in content.values()):
        raise StoreError("is not a list of files and their sha256", where=str(folder.checksums))
    for name in content:
        if Path(name).is_absolute() or ".." in Path(name).parts or "\0" in name or len(name) > LONGEST_NAME:
            raise StoreError(f"'{name}' lies outside the cell's folder", where=str(folder.checksums))
    return content


def write_folder_sums(folder: Path) -> None:
    """Write a folder's sums.json, of all files in it; the folder itself must still be unseen by others."""
    sums = {path.name: sha256_file(path) for path in sorted(folder.iterdir())}
    (folder / FOLDER_SUMS).write_text(json.dumps(sums), encoding="utf-8")


def check_folder_sums(folder: Path) -> None:
    """Compare a folder's files with its sums.json; one without passes: older versions wrote none."""
    path = folder / FOLDER_SUMS
    if not path.is_file():
        return
    sums = read_object(path)
    for name in sorted(sums.keys() | {file.name for file in folder.iterdir()} - {FOLDER_SUMS}):
        if Path(name).name != name or sums.get(name) != sha256_file(folder / name):
            message = "has changed since it was written: its sha256 is not the one in sums.json"
            raise StoreError(message, where=str(folder / name))
