"""Is what lies in a results folder whole? Every record, checksum and picture is read again."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tabench.errors import SpecError, StoreError, TabenchError
from tabench.provenance.files import sha256_file
from tabench.store.checksums import check_folder_sums, read_sums
from tabench.store.claim import is_live
from tabench.store.encoding import read_json, read_object
from tabench.store.folders import HINT, CellFolder, ExperimentFolder, is_name
from tabench.store.record import Record, load_record

AGAIN = "restore it from a copy, or remove the cell's folder and run the cell again"
WeightsCheck = Callable[[CellFolder, Record], object]  # raises a TabenchError that names what is wrong


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be, or, as a "note", in order but good to know."""

    level: Literal["problem", "note"]
    where: str  # the file or folder
    message: str
    hint: str = ""  # what to do about it


@dataclass
class Verified:
    """What was read of an experiment."""

    experiment: str  # its name
    records: int = 0  # records that were read
    summed: int = 0  # of those, with a checksums.json
    found: list[Problem] = field(default_factory=list)

    @property
    def problems(self) -> list[Problem]:
        """What is wrong."""
        return [entry for entry in self.found if entry.level == "problem"]


def _note(found: list[Problem], place: Path, message: str, hint: str = "") -> None:
    found.append(Problem("note", str(place), message, hint))


@contextlib.contextmanager
def _told(found: list[Problem], place: Path, hint: str, what: str = "cannot be read") -> Iterator[None]:
    """Keep what reading inside the block raises as a problem of a place."""
    from safetensors import SafetensorError

    try:
        yield
    except TabenchError as error:
        found.append(Problem("problem", error.where or str(place), error.message, error.hint or hint))
    except (OSError, SafetensorError, SyntaxError, ValueError) as error:  # PIL raises a SyntaxError
        found.append(Problem("problem", str(place), f"{what}: {error}", hint))


def verify_experiment(folder: ExperimentFolder, check_weights: WeightsCheck) -> Verified:
    """Check an experiment's folder; changes nothing. `check_weights` compares kept weights with a record."""
    result = Verified(folder.experiment)
    hint = "write it again: tabench plan EXPERIMENT says what it holds, tabench run writes it"
    with _told(result.found, folder.experiment_json, hint):
        if not isinstance(folder.read_experiment().get("cells"), dict):
            raise StoreError("has no cells")
    for path in sorted(folder.path.iterdir()):
        if path.is_dir() and is_name(path.name) and path.name != "truth":
            _verify_cell(folder.cell(path.name), check_weights, result)
    _pictures(result.found, folder.path.glob("truth/*/[!.]*.png"), "run a cell again: it is rewritten")
    if result.records > result.summed:
        without = f"{result.records - result.summed} of {result.records} records have no checksums.json"
        message = f"{without}: run before there was one; read, but a changed digit would not be seen"
        _note(result.found, folder.path, message)
    return result


def _verify_cell(folder: CellFolder, check_weights: WeightsCheck, result: Verified) -> None:
    found = result.found
    if is_live(folder.claim):
        _note(found, folder.path, "a process runs this cell", "verify it later")
        return
    for path in (folder.run, folder.factors, folder.architecture, folder.failure, folder.merged_from):
        with _told(found, path, HINT):
            if path.is_file():
                read_object(path, HINT)
    with _told(found, folder.journal_file, AGAIN):
        lines = folder.journal_file.read_bytes().count(b"\n") if folder.journal_file.is_file() else 0
        if (torn := lines - len(folder.read_journal())) > 0:
            _note(found, folder.journal_file, f"{torn} torn lines, as a kill leaves them")
    for path in sorted([*folder.path.rglob(".*.tmp"), *folder.checkpoint.glob("*/writing*")]):
        _note(found, path, "left by a kill in the middle of a write", "it may be removed")
    if folder.claim.exists():
        _note(found, folder.claim, "its process is gone", "the next run takes it over")
    _checkpoints(found, folder.checkpoint)
    if folder.record.is_file():
        result.records += 1
        found += record_problems(folder, check_weights)
        result.summed += folder.checksums.is_file()


def record_problems(folder: CellFolder, check_weights: WeightsCheck) -> list[Problem]:
    """What is wrong with a finished cell: its record, its checksums, its pictures and kept weights."""
    found: list[Problem] = []
    with _told(found, folder.path, AGAIN):
        record, sums = load_record(folder.record), read_sums(folder)
    if found:
        return found
    with _told(found, folder.record, "move it back, or remove it"):
        if record.cell_id != folder.cell_id:
            raise StoreError(f"holds cell {record.cell_id}, but lies in the folder of {folder.cell_id}")
    for name, expected in sums.items():
        path = folder.path / name
        with _told(found, path, AGAIN):
            if not path.is_file():
                lost = "was written, and is not there any more"
                if not name.startswith("weights-"):  # large, and nothing reads them unasked
                    raise StoreError(lost)
                _note(found, path, lost)
            elif (actual := sha256_file(path)) != expected:
                told = f"sha256 {actual[:12]}, expected {expected[:12]}"
                raise StoreError(f"has changed since the run wrote it: {told}")
    files = [file for picture in record.pictures for file in picture.files.values()]
    for name in sorted({name for file in files for name in (file.pred, file.error)}):
        with _told(found, folder.pictures / name, AGAIN):
            if f"pictures/{name}" not in sums and not (folder.pictures / name).is_file():
                raise StoreError("is missing")
    _pictures(found, folder.pictures.glob("[!.]*.png"), AGAIN)
    if any(folder.path.glob("weights-*.safetensors")):
        with _told(found, folder.path, "restore them, or remove all weights-* files of the cell"):
            try:
                check_weights(folder, record)
            except SpecError as error:  # a plug-in that is not installed says nothing about the record
                message = f"kept weights are not checked: {error.message}"
                _note(found, folder.path, message, error.hint or "")
    return found


def _checkpoints(found: list[Problem], folder: Path) -> None:
    """Checkpoints whose files cannot be opened or, where there are sums of them, are not as they were."""
    from safetensors import safe_open

    for place in sorted(folder.glob("*/*")):
        if not place.is_dir() or place.name.startswith("writing"):
            continue
        wanted = [place / "model.safetensors", *place.glob("best.safetensors")]
        wanted += [place / "optimizer.safetensors"] if place.name.isdigit() else []
        hint = f"remove {place}: the cell starts again from the one before, or from the beginning"
        with _told(found, place, hint):
            read_json(place / "state.json", hint)
            check_folder_sums(place)
            for path in wanted:
                with safe_open(path, framework="numpy"):
                    pass


def _pictures(found: list[Problem], paths: Iterable[Path], hint: str) -> None:
    """PNG files whose own checksums do not fit."""
    from PIL import Image

    for path in sorted(paths):
        with _told(found, path, hint, "is no whole picture"), Image.open(path, formats=["PNG"]) as image:
            image.verify()
