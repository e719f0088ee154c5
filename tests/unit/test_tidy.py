from __future__ import annotations

import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from tabench.errors import StoreError
from tabench.store.claim import Claim, Holder
from tabench.store.folders import CellFolder, ExperimentFolder
from tabench.store.tidy import OLD_SECONDS, journalled_seconds, settle, sweep, sweep_shared

DEAD = replace(Holder.this(), started="1")


def claim(path: Path, holder: Holder) -> None:
    path.write_text(json.dumps(holder.to_json()))


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    """A cell whose process was killed between the record and its end, with all that can be left."""
    found = CellFolder(tmp_path, "nyuv2", "0123456789abcdef")
    found.journal("start", attempt=1)
    found.record.write_text("{}")
    (found.checkpoint / "all" / "finished").mkdir(parents=True)
    (found.checkpoint / "all" / "writing-7-ab").mkdir()
    found.pictures.mkdir()
    (found.pictures / "val_0.depth.pred.png").write_bytes(b"kept")
    (found.pictures / ".val_0.depth.pred.png.7-ab.tmp").write_bytes(b"torn")
    (found.path / ".run.json.7-ab.tmp").write_bytes(b"torn")
    found.write_failure(StoreError("gone"), attempt=1)
    claim(found.claim, DEAD)
    claim(found.path / ".claim.json.7-ab.tmp", DEAD)
    return found


def names(folder: CellFolder) -> set[str]:
    return {p.relative_to(folder.path).as_posix() for p in folder.path.rglob("*") if p.is_file()}


def test_a_cell_whose_process_was_killed_after_the_record_is_closed(folder: CellFolder) -> None:
    settle(folder)
    assert names(folder) == {"record.json", "journal.jsonl", "pictures/val_0.depth.pred.png"}
    assert not folder.checkpoint.exists()
    assert [event["event"] for event in folder.read_journal()] == ["start", "done"]
    settle(folder)
    assert [event["event"] for event in folder.read_journal()] == ["start", "done"]


def test_a_cell_that_is_being_finished_is_left_to_its_process(folder: CellFolder) -> None:
    claim(folder.claim, replace(DEAD, host="elsewhere.invalid"))
    before = names(folder)
    settle(folder)
    assert names(folder) == before


def test_a_sweep_takes_torn_files_and_leaves_a_question_for_the_claim(folder: CellFolder) -> None:
    asking = folder.path / ".claim.json.8-cd.tmp"
    claim(asking, replace(DEAD, host="elsewhere.invalid"))
    with Claim(folder.claim):
        sweep(folder)
    assert asking.exists()
    assert not [name for name in names(folder) if name.endswith(".tmp") and "8-cd" not in name]
    assert [path.name for path in (folder.checkpoint / "all").iterdir()] == ["finished"]


def test_temporary_files_of_shared_folders_go_when_they_are_old(tmp_path: Path) -> None:
    folder = ExperimentFolder(tmp_path, "nyuv2")
    truth = folder.truth("0123456789abcdef")
    truth.mkdir(parents=True)
    old, young = truth / ".val_0.input.png.7-ab.tmp", truth / ".val_1.input.png.7-ab.tmp"
    probe, kept = folder.path / ".probe.7-ab.tmp.7-cd.tmp", truth / "val_0.input.png"
    for path in (old, young, probe, kept):
        path.write_bytes(b"x")
    then = time.time() - OLD_SECONDS - 1
    for path in (old, probe, kept):
        os.utime(path, (then, then))
    sweep_shared(folder)
    assert [path.name for path in (old, young, probe, kept) if path.exists()] == [young.name, kept.name]


def test_seconds_of_killed_attempts_count_up_to_their_last_event(folder: CellFolder) -> None:
    times = [("start", 10.0), ("epoch", 14.0), ("start", 100.0), ("epoch", 101.0), ("done", 103.0)]
    folder.journal_file.write_text(
        "".join(json.dumps({"t": t, "event": e, "attempt": 1}) + "\n" for e, t in times)
    )
    assert journalled_seconds(folder) == 7.0
