from __future__ import annotations

import json
from pathlib import Path

import spec_samples as samples

from tabench.store.adopt import adopt, finished_elsewhere
from tabench.store.atomic import write_json
from tabench.store.folders import CellFolder, ExperimentFolder


def finish(root: Path, experiment: str) -> tuple[CellFolder, CellFolder]:
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
    done, mine = finish(tmp_path, "first")
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
    done, _ = finish(tmp_path, "first")
    assert finished_elsewhere(done) is None
    assert not adopt(done)
    assert not adopt(CellFolder(tmp_path, "other", "0" * 16))
