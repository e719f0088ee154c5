"""Is what lies in a results folder whole? Every record, checksum and picture is read again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tabench.errors import SpecError, StoreError, TabenchError
from tabench.provenance.files import sha256_file
from tabench.store.checksums import check_folder_sums, read_sums
from tabench.store.claim import is_live
from tabench.store.encoding import read_json, read_lines
from tabench.store.folders import CellFolder, ExperimentFolder, is_name
from tabench.store.record import Record, load_record

AGAIN = "restore it from a copy, or remove the cell's folder and run the cell again"
WeightsCheck = Callable[[CellFolder, Record], None]  # raises a TabenchError that names what is wrong


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be."""

    level: Literal["problem", "note"]  # "problem", or "note" for what is in order but good to know
    where: str  # the file or folder
    message: str  # what is wrong with it
    hint: str = ""  # what to do about it


@dataclass
class Verified:
    """What was read of an experiment."""

    experiment: str  # its name
    records: int = 0  # records that were read
    summed: int = 0  # of those, with a checksums.json
    found: list[Problem] = field(default_factory=list)  # problems and notes

    @property
    def problems(self) -> list[Problem]:
        """What is wrong."""
        return [entry for entry in self.found if entry.level == "problem"]


def verify_experiment(folder: ExperimentFolder, check_weights: WeightsCheck) -> Verified:
    """Check an experiment's folder; nothing is changed.

    Args:
        folder: The experiment.
        check_weights: Compares kept weights with a record's `weights_sha256`.
    """
    result = Verified(folder.experiment)
    try:
        cells = folder.read_experiment().get("cells")
        if not isinstance(cells, dict):
            raise StoreError("has no cells", where=str(folder.experiment_json))
    except StoreError as error:
        hint = "write it again: tabench plan EXPERIMENT says what it holds, tabench run writes it"
        result.found.append(_told(error, folder.experiment_json, hint))
    for path in sorted(folder.path.iterdir()):
        if path.is_dir() and is_name(path.name) and path.name != "truth":
            _verify_cell(folder.cell(path.name), check_weights, result)
    truth = sorted(folder.path.glob("truth/*/[!.]*.png"))
    result.found += _pictures(truth, "run a cell again: it is rewritten")
    if result.records > result.summed:
        without = f"{result.records - result.summed} of {result.records} records have no checksums.json"
        message = f"{without}: run before there was one; read, but a changed digit would not be seen"
        result.found.append(Problem("note", str(folder.path), message))
    return result


def _verify_cell(folder: CellFolder, check_weights: WeightsCheck, result: Verified) -> None:
    if is_live(folder.claim):
        result.found.append(Problem("note", str(folder.path), "a process runs this cell", "verify it later"))
        return
    result.found += _small_files(folder)
    result.found += _leftovers(folder)
    result.found += _checkpoints(folder.checkpoint)
    if not folder.record.is_file():
        return
    result.records += 1
    result.found += record_problems(folder, check_weights)
    result.summed += folder.checksums.is_file()


def record_problems(folder: CellFolder, check_weights: WeightsCheck) -> list[Problem]:
    """What is wrong with a finished cell: its record, its checksums, its pictures and kept weights."""
    try:
        record = load_record(folder.record)
        sums = read_sums(folder)
    except StoreError as error:
        return [_told(error, folder.path, AGAIN)]
    found = []
    if record.cell_id != folder.cell_id:
        message = f"holds cell {record.cell_id}, but lies in the folder of {folder.cell_id}"
        found.append(Problem("problem", str(folder.record), message, "move it back, or remove it"))
    found += list(_differences(folder, sums))
    files = [file for picture in record.pictures for file in picture.files.values()]
    named = {name for file in files for name in (file.pred, file.error)}
    for name in sorted(named):
        if f"pictures/{name}" not in sums and not (folder.pictures / name).is_file():
            found.append(Problem("problem", str(folder.pictures / name), "is missing", AGAIN))
    found += _pictures(sorted(folder.pictures.glob("[!.]*.png")), AGAIN)
    if any(folder.path.glob("weights-*.safetensors")):
        try:
            check_weights(folder, record)
        except SpecError as error:  # a plug-in that is not installed says nothing about the record
            message = f"kept weights are not checked: {error.message}"
            found.append(Problem("note", str(folder.path), message, error.hint or ""))
        except TabenchError as error:
            found.append(_told(error, folder.path, "restore them, or remove all weights-* files of the cell"))
    return found


def _differences(folder: CellFolder, sums: dict[str, str]) -> Iterator[Problem]:
    for name, expected in sums.items():
        path = folder.path / name
        if not path.is_file():
            kept = name.startswith("weights-")  # large, and nothing reads them unasked
            message = "was written, and is not there any more"
            yield Problem("note" if kept else "problem", str(path), message, "" if kept else AGAIN)
            continue
        try:
            actual = sha256_file(path)
        except StoreError as error:
            yield _told(error, path, AGAIN)
            continue
        if actual != expected:
            message = f"has changed since the run wrote it: sha256 {actual[:12]}, expected {expected[:12]}"
            yield Problem("problem", str(path), message, AGAIN)


def _small_files(folder: CellFolder) -> Iterator[Problem]:
    for path in (folder.run, folder.factors, folder.architecture, folder.failure, folder.merged_from):
        try:
            if path.is_file() and not isinstance(read_json(path), dict):
                raise StoreError("is not a JSON object", where=str(path))
        except StoreError as error:
            yield _told(error, path, "restore it, or remove it: the record does not need it")
    try:
        if folder.journal_file.is_file():
            lines = folder.journal_file.read_bytes().count(b"\n")
            torn = lines - len(read_lines(folder.journal_file))
            if torn > 0:
                yield Problem("note", str(folder.journal_file), f"{torn} torn lines, as a kill leaves them")
    except (OSError, StoreError) as error:
        yield Problem("problem", str(folder.journal_file), f"cannot be read: {error}", AGAIN)


def _leftovers(folder: CellFolder) -> Iterator[Problem]:
    for path in sorted([*folder.path.rglob(".*.tmp"), *folder.checkpoint.glob("*/writing*")]):
        yield Problem("note", str(path), "left by a kill in the middle of a write", "it may be removed")
    if folder.claim.exists():
        yield Problem("note", str(folder.claim), "its process is gone", "the next run takes it over")


def _checkpoints(folder: Path) -> Iterator[Problem]:
    """Checkpoints whose files cannot be opened or, where there are sums of them, are not as they were."""
    from safetensors import SafetensorError, safe_open

    for place in sorted(folder.glob("*/*")):
        if not place.is_dir() or place.name.startswith("writing"):
            continue
        wanted = [place / "model.safetensors", *place.glob("best.safetensors")]
        wanted += [place / "optimizer.safetensors"] if place.name.isdigit() else []
        hint = f"remove {place}: the cell starts again from the one before, or from the beginning"
        try:
            read_json(place / "state.json")
            check_folder_sums(place)
            for path in wanted:
                with safe_open(path, framework="numpy"):
                    pass
        except StoreError as error:
            yield _told(error, place, hint)
        except (OSError, SafetensorError) as error:
            yield Problem("problem", str(place), f"cannot be read: {error}", hint)


def _pictures(paths: Iterable[Path], hint: str) -> Iterator[Problem]:
    """PNG files whose own checksums do not fit."""
    from PIL import Image

    for path in paths:
        try:
            with Image.open(path, formats=["PNG"]) as image:
                image.verify()
        except (OSError, SyntaxError, ValueError) as error:
            yield Problem("problem", str(path), f"is no whole picture: {error}", hint)


def _told(error: TabenchError, place: Path, hint: str) -> Problem:
    return Problem("problem", error.where or str(place), error.message, error.hint or hint)
