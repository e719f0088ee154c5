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
from tabench.store.adopt import adopt, finished_elsewhere, merge_results
from tabench.store.atomic import write_json
from tabench.store.claim import Claim
from tabench.store.folders import CellFolder, ExperimentFolder
from tabench.store.index import read_index
from tabench.store.verify import verify_experiment


def finish_twice(root: Path, experiment: str) -> tuple[CellFolder, CellFolder]:
    """A finished cell in one experiment, and the place of the same cell in another."""
    content = samples.record(samples.cells(root)[0])
    done = CellFolder(root, experiment, content["cell_id"])
    samples.save_record(done.record, content)
    write_json(done.run, {"wall_s": 3.0})
    done.journal("start", attempt=1)
    for path in (done.pictures / "val_0.depth.pred.png", done.path / "factors.json"):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"content of " + path.name.encode())
    truth = ExperimentFolder(root, experiment).truth(content["data"]["fingerprint"])
    truth.mkdir(parents=True)
    (truth / "val_0.input.png").write_bytes(b"input")
    return done, CellFolder(root, "other", done.cell_id)


def test_a_finished_cell_of_another_experiment_is_taken_whole(tmp_path: Path) -> None:
    done, mine = finish_twice(tmp_path, "first")
    assert finished_elsewhere(mine) == done
    assert adopt(mine)
    assert mine.state() == "done"
    assert mine.record.read_bytes() == done.record.read_bytes()
    for name in ("pictures/val_0.depth.pred.png", "factors.json"):
        assert (mine.path / name).read_bytes() == (done.path / name).read_bytes()
    assert json.loads(mine.run.read_text()) == {"wall_s": 3.0, "adopted_from": "first"}
    assert not mine.journal_file.exists(), "events of another run"
    (truth,) = (tmp_path / "other" / "truth").iterdir()
    assert (truth / "val_0.input.png").read_bytes() == b"input"


def test_nothing_is_taken_where_nothing_is(tmp_path: Path) -> None:
    done, _ = finish_twice(tmp_path, "first")
    assert finished_elsewhere(done) is None
    assert not adopt(done)
    assert not adopt(CellFolder(tmp_path, "other", "0" * 16))


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


def test_records_are_taken_whole_with_where_they_are_from(tmp_path: Path, there: Path, here: Path) -> None:
    first, second = samples.cells(tmp_path)[:2]
    theirs, before = finish(there, first), files(finish(there, first).root)
    mine = finish(here, second)
    own = files(mine.path)
    assert merge(there, here) == {"taken": 1}
    taken = CellFolder(here, "small", theirs.cell_id)
    provenance = json.loads(taken.merged_from.read_bytes())
    assert provenance["from"] == str(theirs.path)
    assert provenance["host"] == socket.gethostname()
    expected = files(theirs.path)
    got = files(taken.path)
    del got["merged_from.json"]
    assert got == expected
    assert files(there) == before, "the other folder is only read"
    assert files(mine.path) == own
    experiment = ExperimentFolder(here, "small")
    assert set(experiment.read_experiment()["cells"]) == {theirs.cell_id, mine.cell_id}
    assert verify_experiment(experiment, no_weights).found == []
    assert merge(there, here) == {"same": 1}


def test_a_different_record_is_a_conflict_and_stays(tmp_path: Path, there: Path, here: Path) -> None:
    cell = samples.cells(tmp_path)[0]
    finish(there, cell, value=0.5)
    mine = finish(here, cell, value=0.25)
    own = files(here)
    (entry,) = merge_results(there, here, no_weights)
    assert entry.state == "conflict"
    assert "metrics" in entry.message
    assert str(mine.path) in entry.message
    assert files(here) == own


def test_a_damaged_record_is_left_out(tmp_path: Path, there: Path, here: Path) -> None:
    cells = samples.cells(tmp_path)
    torn, changed, whole = (finish(there, cell) for cell in cells[:3])
    torn.record.write_bytes(torn.record.read_bytes()[:50])
    changed.factors.write_text("{}")
    assert merge(there, here) == {"damaged": 2, "taken": 1}
    assert list(read_index(here, "small").cells) == [whole.cell_id]
    assert list(ExperimentFolder(here, "small").read_experiment()["cells"]) == [whole.cell_id]


def test_failed_and_partial_cells_here_are_finished_by_it(tmp_path: Path, there: Path, here: Path) -> None:
    theirs = finish(there, samples.cells(tmp_path)[0])
    mine = CellFolder(here, "small", theirs.cell_id)
    mine.write_failure(DataError("no image"), attempt=1)
    (mine.checkpoint / "all" / "00000001").mkdir(parents=True)
    assert merge(there, here) == {"taken": 1}
    assert mine.state() == "done"
    assert not mine.failure.exists()
    assert not mine.checkpoint.exists()


def test_a_running_cell_is_busy(tmp_path: Path, there: Path, here: Path) -> None:
    theirs = finish(there, samples.cells(tmp_path)[0])
    mine = CellFolder(here, "small", theirs.cell_id)
    with Claim(mine.claim):
        assert merge(there, here) == {"busy": 1}
    assert not mine.record.exists()


def test_links_and_strange_files_are_not_taken(tmp_path: Path, there: Path, here: Path) -> None:
    theirs = finish(there, samples.cells(tmp_path)[0])
    (tmp_path / "secret").write_text("secret")
    (theirs.path / "architecture.json").symlink_to(tmp_path / "secret")
    (theirs.path / "run.py").write_text("print()")
    assert merge(there, here) == {"taken": 1}
    taken = CellFolder(here, "small", theirs.cell_id)
    assert not taken.architecture.exists()
    assert not (taken.path / "run.py").exists()


def test_a_record_that_came_a_longer_way_says_so(tmp_path: Path, there: Path, here: Path) -> None:
    theirs = finish(there, samples.cells(tmp_path)[0])
    merge(there, here)
    merge(here, tmp_path / "third")
    last = json.loads(CellFolder(tmp_path / "third", "small", theirs.cell_id).merged_from.read_bytes())
    assert last["from"].startswith(str(here))
    assert last["before"]["from"] == str(theirs.path)


def test_nothing_to_merge_is_said(tmp_path: Path, here: Path) -> None:
    with pytest.raises(StoreError, match="no results here"):
        merge(tmp_path / "nowhere", here)
    finish(here, samples.cells(tmp_path)[0])
    with pytest.raises(StoreError, match="the results folder itself"):
        merge(here, here)


def test_an_experiment_without_its_file_is_merged_too(tmp_path: Path, there: Path, here: Path) -> None:
    theirs = finish(there, samples.cells(tmp_path)[0])
    ExperimentFolder(there, "small").experiment_json.unlink()
    name_cells(ExperimentFolder(here, "small"), "f" * 16)
    assert merge(there, here) == {"taken": 1}
    assert set(ExperimentFolder(here, "small").read_experiment()["cells"]) == {"f" * 16, theirs.cell_id}
