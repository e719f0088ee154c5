from __future__ import annotations

import errno
import time
from pathlib import Path

import pytest

from tabench.errors import (
    FAILURE_KINDS,
    RETRIED_KINDS,
    CheckpointError,
    DataError,
    EvaluationFailedError,
    InterruptedRunError,
    StoreError,
    TabenchError,
    failure_kind,
)
from tabench.store.atomic import write_json
from tabench.store.claim import Claim
from tabench.store.folders import CellFolder, ExperimentFolder


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    return CellFolder(tmp_path, "nyuv2", "0123456789abcdef")


def test_files_lie_where_the_layout_says(tmp_path: Path, folder: CellFolder) -> None:
    base = tmp_path / "nyuv2" / "0123456789abcdef"
    assert folder.record == base / "record.json"
    assert folder.run == base / "run.json"
    assert folder.checkpoint == base / "checkpoint"
    assert folder.channel("val/17", "depth", 0) == base / "pictures" / "channels.val_17.depth.0.png"
    truth = ExperimentFolder(tmp_path, "nyuv2").truth_picture("0123456789abcdef", "val/17", "input")
    assert truth == tmp_path / "nyuv2" / "truth" / "0123456789ab" / "val_17.input.png"


@pytest.mark.parametrize("name", ["..", "a/b", "", ".hidden"])
def test_names_cannot_leave_the_results_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match="cannot be the name"):
        CellFolder(tmp_path, "nyuv2", name)
    with pytest.raises(StoreError, match="cannot be the name"):
        ExperimentFolder(tmp_path, name)


def test_the_state_follows_the_files(folder: CellFolder) -> None:
    assert folder.state() == "pending"
    folder.checkpoint.mkdir(parents=True)
    assert folder.state() == "pending", "an empty folder is no checkpoint"
    write_json(folder.checkpoint / "state.json", {})
    assert folder.state() == "partial"
    folder.write_failure(DataError("no image"), attempt=1)
    assert folder.state() == "failed"
    with Claim(folder.claim):
        assert folder.state() == "running"
    assert folder.state() == "failed"
    folder.clear_failure()
    folder.clear_failure()
    assert folder.state() == "partial"
    write_json(folder.record, {})
    assert folder.state() == "done"


def test_a_failure_keeps_what_a_person_needs(folder: CellFolder) -> None:
    assert folder.read_failure() == {}
    try:
        raise DataError("no image", where="val/3", hint="get it")
    except DataError as error:
        folder.write_failure(error, attempt=2, step=7, ids=["val/3"])
    failure = folder.read_failure()
    assert failure["kind"] == "data"
    assert failure["message"] == "val/3: no image\n  -> get it"
    assert "test_a_failure_keeps_what_a_person_needs" in failure["traceback"]
    assert (failure["attempt"], failure["step"], failure["ids"]) == (2, 7, ["val/3"])


def test_failures_have_kinds() -> None:
    class OutOfMemoryError(RuntimeError):
        """Named like torch's."""

    assert failure_kind(InterruptedRunError("stop")) == failure_kind(KeyboardInterrupt()) == "interrupted"
    assert failure_kind(MemoryError()) == failure_kind(OutOfMemoryError()) == "out-of-memory"
    assert failure_kind(OSError()) == "infrastructure"
    assert failure_kind(OSError(errno.ENOMEM, "no memory")) == "out-of-memory"
    assert failure_kind(ZeroDivisionError()) == "unexpected"
    assert failure_kind(CheckpointError("torn")) == failure_kind(DataError("no image")) == "data"
    for code, kind in ((errno.EIO, "infrastructure"), (errno.ENOENT, "data")):  # a broken disk is no fault
        wrong = DataError("cannot be read", where="val/3.png")
        wrong.__cause__ = OSError(code, "why")
        assert failure_kind(wrong) == failure_kind(EvaluationFailedError("all", wrong)) == kind


def test_every_error_has_one_of_the_kinds() -> None:
    def kinds(error: type[TabenchError]) -> set[str]:
        return {error.kind}.union(*(kinds(inner) for inner in error.__subclasses__()))

    assert kinds(TabenchError) <= set(FAILURE_KINDS)
    assert set(RETRIED_KINDS) <= set(FAILURE_KINDS)


def test_the_journal_keeps_events_in_order(folder: CellFolder) -> None:
    before = time.time() - 0.001
    folder.journal("start", attempt=1)
    folder.journal("epoch", epoch=1, loss=0.5, note="line\nbreak\u2028")
    events = folder.read_journal()
    assert [event["event"] for event in events] == ["start", "epoch"]
    assert events[1]["note"] == "line\nbreak\u2028"
    assert before <= events[0]["t"] <= events[1]["t"] <= time.time() + 0.001


def test_an_experiment_is_written_once_for_the_same_content(tmp_path: Path) -> None:
    folder = ExperimentFolder(tmp_path, "nyuv2")
    with pytest.raises(StoreError, match="no results of this experiment"):
        folder.read_experiment()
    content = {"name": "nyuv2", "cells": {"0123": "ta-lora s0"}}
    folder.write_experiment(content)
    written = folder.experiment_json.stat().st_mtime_ns
    folder.write_experiment(content)
    assert folder.experiment_json.stat().st_mtime_ns == written
    assert folder.read_experiment() == {"title": "", "profile": "", "note": "", **content}
    folder.experiment_json.write_text("[]")
    with pytest.raises(StoreError, match="is not a JSON object"):
        folder.read_experiment()
    folder.experiment_json.write_text("{")
    with pytest.raises(StoreError, match="tabench plan"):
        folder.read_experiment()
