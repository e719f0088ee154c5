"""Records of the same cell elsewhere: in another experiment, in another results folder."""

from __future__ import annotations

import json
import socket
from collections import Counter
from pathlib import Path

import pytest
import spec_samples as samples
from finished_cells import finish, name_cells, no_weights

from tabench.errors import DataError, StoreError
from tabench.spec.cell import Cell
from tabench.store.adopt import adopt, finished_elsewhere, merge_results
from tabench.store.claim import Claim
from tabench.store.folders import CellFolder, ExperimentFolder
from tabench.store.index import read_index
from tabench.store.verify import verify_experiment


@pytest.fixture
def cells(tmp_path: Path) -> list[Cell]:
    return samples.cells(tmp_path)


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return tmp_path / "there"


def merge(there: Path, here: Path) -> dict[str, int]:
    return dict(Counter(cell.state for cell in merge_results(there, here, no_weights)))


def files(root: Path) -> dict[str, bytes]:
    found = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def test_a_finished_cell_of_another_experiment_is_taken_whole(here: Path, cells: list[Cell]) -> None:
    done = finish(here, cells[0], "first")
    mine = CellFolder(here, "other", done.cell_id)
    assert finished_elsewhere(mine) == done
    assert adopt(mine)
    assert mine.state() == "done"
    got, expected = files(mine.path), files(done.path)
    assert json.loads(got.pop("run.json")) == {"wall_s": 3.0, "adopted_from": "first"}
    del expected["run.json"], expected["journal.jsonl"]  # events of another run
    assert got == expected
    assert files(here / "other" / "truth") == files(here / "first" / "truth")
    assert not adopt(CellFolder(here, "other", "0" * 16))


def test_records_are_taken_whole_with_where_they_are_from(there: Path, here: Path, cells: list[Cell]) -> None:
    theirs, before = finish(there, cells[0]), files(there)
    mine = finish(here, cells[1])
    own = files(mine.path)
    assert merge(there, here) == {"taken": 1}
    taken = CellFolder(here, "small", theirs.cell_id)
    got = files(taken.path)
    provenance = json.loads(got.pop("merged_from.json"))
    assert (provenance["from"], provenance["host"]) == (str(theirs.path), socket.gethostname())
    assert got == files(theirs.path)
    assert files(there) == before, "the other folder is only read"
    assert files(mine.path) == own
    experiment = ExperimentFolder(here, "small")
    assert set(experiment.read_experiment()["cells"]) == {theirs.cell_id, mine.cell_id}
    assert verify_experiment(experiment, no_weights).found == []
    assert merge(there, here) == {"same": 1}
    merge(here, here.with_name("third"))
    last = json.loads(CellFolder(here.with_name("third"), "small", theirs.cell_id).merged_from.read_bytes())
    assert last["from"].startswith(str(here))
    assert last["before"]["from"] == str(theirs.path)


def test_a_different_record_is_a_conflict_and_stays(there: Path, here: Path, cells: list[Cell]) -> None:
    finish(there, cells[0], value=0.5)
    mine = finish(here, cells[0], value=0.25)
    own = files(here)
    (entry,) = merge_results(there, here, no_weights)
    assert entry.state == "conflict"
    assert "differ in metrics" in entry.message
    assert str(mine.path) in entry.message
    assert files(here) == own


def test_a_damaged_record_is_left_out(there: Path, here: Path, cells: list[Cell]) -> None:
    torn, changed, whole = (finish(there, cell) for cell in cells[:3])
    torn.record.write_bytes(torn.record.read_bytes()[:50])
    changed.factors.write_text("{}")
    assert merge(there, here) == {"damaged": 2, "taken": 1}
    assert list(read_index(here, "small").cells) == [whole.cell_id]
    assert list(ExperimentFolder(here, "small").read_experiment()["cells"]) == [whole.cell_id]


def test_cells_here_that_failed_or_run_are_finished_or_busy(
    there: Path, here: Path, cells: list[Cell]
) -> None:
    mine = CellFolder(here, "small", finish(there, cells[0]).cell_id)
    mine.write_failure(DataError("no image"), attempt=1)
    (mine.checkpoint / "all" / "00000001").mkdir(parents=True)
    with Claim(mine.claim):
        assert merge(there, here) == {"busy": 1}
    assert not mine.record.exists()
    assert merge(there, here) == {"taken": 1}
    assert mine.state() == "done"
    assert not mine.failure.exists()
    assert not mine.checkpoint.exists()


def test_links_and_strange_files_are_not_taken(there: Path, here: Path, cells: list[Cell]) -> None:
    theirs = finish(there, cells[0])
    (there / "secret").write_text("secret")
    (theirs.path / "architecture.json").symlink_to(there / "secret")
    (theirs.path / "run.py").write_text("print()")
    assert merge(there, here) == {"taken": 1}
    taken = CellFolder(here, "small", theirs.cell_id)
    assert not taken.architecture.exists()
    assert not (taken.path / "run.py").exists()


def test_nothing_to_merge_is_said(here: Path, cells: list[Cell]) -> None:
    with pytest.raises(StoreError, match="no results here"):
        merge(here / "nowhere", here)
    finish(here, cells[0])
    with pytest.raises(StoreError, match="the results folder itself"):
        merge(here, here)


def test_an_experiment_without_its_file_is_merged_too(there: Path, here: Path, cells: list[Cell]) -> None:
    theirs = finish(there, cells[0])
    ExperimentFolder(there, "small").experiment_json.unlink()
    name_cells(ExperimentFolder(here, "small"), "f" * 16)
    assert merge(there, here) == {"taken": 1}
    assert set(ExperimentFolder(here, "small").read_experiment()["cells"]) == {"f" * 16, theirs.cell_id}
