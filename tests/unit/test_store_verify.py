from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import spec_samples as samples
import torch
from finished_cells import finish, no_weights
from safetensors.numpy import save_file
from safetensors.torch import save_file as save_torch

from tabench.errors import SpecError
from tabench.runs.compute import add_digest
from tabench.runs.reevaluate import load_saved
from tabench.spec.cell import MethodPart
from tabench.store.checksums import read_sums, write_sums
from tabench.store.claim import Claim
from tabench.store.folders import CellFolder, ExperimentFolder
from tabench.store.record import Record, record_bytes
from tabench.store.verify import Verified, verify_experiment


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    return finish(tmp_path, samples.cells(tmp_path)[0])


def verified(folder: CellFolder) -> Verified:
    return verify_experiment(ExperimentFolder(folder.root, folder.experiment), no_weights)


def test_a_whole_cell_has_nothing_to_tell(folder: CellFolder) -> None:
    result = verified(folder)
    assert (result.records, result.summed, result.found) == (1, 1, [])
    sums = read_sums(folder)
    assert sums is not None
    pictures = {f"pictures/{path.name}" for path in folder.pictures.iterdir()}
    assert set(sums) == {"record.json", "factors.json", *pictures}


def change_a_digit(folder: CellFolder) -> None:
    text = folder.record.read_text()
    assert '"label": "' in text
    folder.record.write_text(text.replace('"label": "', '"label": "x', 1))


def tear(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def picture(folder: CellFolder) -> Path:
    return min(folder.pictures.iterdir())


DAMAGE: list[tuple[str, Callable[[CellFolder], object], str, str]] = [
    ("record changed", change_a_digit, "record.json", "has changed since"),
    ("record torn", lambda f: tear(f.record), "record.json", "not whole JSON"),
    ("picture torn", lambda f: tear(picture(f)), "pictures", "has changed since"),
    ("picture lost", lambda f: picture(f).unlink(), "pictures", "is not there any more"),
    ("analysis changed", lambda f: f.factors.write_text('{"a": 2}'), "factors.json", "has changed since"),
    ("circumstances torn", lambda f: tear(f.run), "run.json", "not whole JSON"),
    ("sums torn", lambda f: tear(f.checksums), "checksums.json", "not whole JSON"),
    ("sums outside", lambda f: f.checksums.write_text('{"../x": "a"}'), "checksums.json", "outside"),
    ("wrong folder", lambda f: f.path.rename(f.path.with_name("0" * 16)), "record.json", "lies in the"),
    ("experiment torn", lambda f: (f.path.parent / "experiment.json").write_text("{"), "experiment.json",
     "not whole JSON"),
    ("truth torn", lambda f: tear(next((f.path.parent / "truth").glob("*/*.png"))), "v.png", "no whole"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("damage", "where", "what"), [case[1:] for case in DAMAGE], ids=[c[0] for c in DAMAGE]
)
def test_damage_is_named_with_what_to_do(
    folder: CellFolder, damage: Callable[[CellFolder], object], where: str, what: str
) -> None:
    damage(folder)
    problems = verified(folder).problems
    assert any(where in p.where and what in p.message for p in problems), problems
    assert all(problem.hint for problem in problems)


def test_without_sums_a_torn_picture_is_found_by_its_own(folder: CellFolder) -> None:
    folder.checksums.unlink()
    result = verified(folder)
    assert result.problems == []
    assert "1 of 1 records have no checksums.json" in result.found[-1].message
    tear(picture(folder))
    assert "no whole picture" in verified(folder).problems[0].message
    picture(folder).unlink()
    assert "is missing" in verified(folder).problems[0].message


def test_checkpoints_are_opened(folder: CellFolder) -> None:
    place = folder.checkpoint / "all" / "00000004"
    place.mkdir(parents=True)
    for name in ("model", "optimizer"):
        save_file({"a": np.zeros(100, np.float32)}, place / f"{name}.safetensors")
    (place / "state.json").write_text("{}")
    assert verified(folder).found == []
    tear(place / "optimizer.safetensors")
    (problem,) = verified(folder).problems
    assert problem.where == str(place)
    assert "remove" in problem.hint


def test_what_a_kill_leaves_is_a_note(folder: CellFolder) -> None:
    (folder.path / ".record.json.1-a.tmp").write_bytes(b"{")
    (folder.checkpoint / "all" / "writing").mkdir(parents=True)
    folder.claim.write_text(json.dumps({"host": "elsewhere"}))
    with folder.journal_file.open("a") as file:
        file.write('{"torn\n')
    os.utime(folder.claim, (0, 0))
    result = verified(folder)
    assert result.problems == []
    assert len(result.found) == 4


def test_a_running_cell_is_left_alone(folder: CellFolder) -> None:
    tear(folder.record)
    with Claim(folder.claim):
        assert [entry.level for entry in verified(folder).found] == ["note"]


@pytest.mark.parametrize("units", [("all",), ("segmentation", "depth", "normals")])
def test_kept_weights_of_a_method_that_is_not_installed_are_checked(
    tmp_path: Path, units: tuple[str, ...]
) -> None:
    cell = samples.cells(tmp_path)[0]
    gone = cell.model_copy(update={"method": MethodPart(name="of-another-package")})
    assert gone.dataset.tasks == ("segmentation", "depth", "normals")
    folder = finish(tmp_path, gone)
    digest = hashlib.sha256()
    for unit in units:
        values = {"a": torch.ones(2)}
        save_torch(values, folder.path / f"weights-{unit}.safetensors")
        add_digest(values, unit, digest)
    content = json.loads(folder.record.read_text())
    rewrite(folder, {**content, "weights_sha256": digest.hexdigest()})
    place = ExperimentFolder(folder.root, folder.experiment)
    assert verify_experiment(place, load_saved).found == []
    rewrite(folder, content)
    (problem,) = verify_experiment(place, load_saved).problems
    assert problem.message == "kept weights are not those of the record"


def test_what_a_missing_plug_in_keeps_from_being_checked_is_a_note(folder: CellFolder) -> None:
    (folder.path / "weights-all.safetensors").write_bytes(b"x")

    def lack(found: CellFolder, record: Record) -> None:
        raise SpecError("unknown method 'of-another-package'")

    (note,) = verify_experiment(ExperimentFolder(folder.root, folder.experiment), lack).found
    assert note.level == "note"
    assert note.message == "kept weights are not checked: unknown method 'of-another-package'"


def rewrite(folder: CellFolder, content: dict[str, Any]) -> None:
    data = record_bytes(folder.record, content)
    write_sums(folder, data)
    folder.record.write_bytes(data)
