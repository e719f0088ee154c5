"""What `status`, `watch` and `cancel` say of submitted cells: with a queue, and without Slurm."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import call, call_json
from tiny_run import make_cell

from tabench.runs.executor import Job, Options
from tabench.runs.slurm import queue
from tabench.runs.slurm.queue import Submission, new_submission
from tabench.store.folders import CellFolder, ExperimentFolder

METHODS = ("frozen", "lora-hps", "lora-stl", "ta-lora")
TEXT = "7_0|RUNNING|n0\n7_1|PENDING|(Resources)\n7_2|NODE_FAIL|\n7_3|PREEMPTED|n1\n"


@pytest.fixture
def jobs() -> list[Job]:
    cells = [make_cell(name) for name in METHODS]
    return [
        Job("x", cell, name, Path("data"), Path("weights")) for name, cell in zip(METHODS, cells, strict=True)
    ]


@pytest.fixture
def one(tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> Submission:
    monkeypatch.chdir(tmp_path)
    folder = ExperimentFolder(tmp_path, "x")
    labels = {job.cell.id: job.label for job in jobs}
    folder.write_experiment({"title": "X", "profile": "demo", "cells": labels})
    found = new_submission(folder.path)
    found.write(jobs, Options(results=tmp_path))
    found.write_queued("7", jobs)
    for job, word in zip(jobs[2:], ("start", "interrupted"), strict=True):
        cell = CellFolder(tmp_path, "x", job.cell.id)
        (cell.checkpoint).mkdir(parents=True)
        (cell.checkpoint / "state").touch()
        cell.journal("checkpoint", unit="all", step=4)
        cell.journal(word)
    return found


def rows(capsys: pytest.CaptureFixture[str]) -> tuple[dict[str, tuple[str, str]], str]:
    code, told = call_json(capsys, "status", "x", "--results=.")
    assert code == 0
    return {row["label"]: (row["state"], row["detail"]) for row in told["cells"]}, told.get(
        "slurm_problem", ""
    )


def test_cells_in_the_queue_and_cells_that_left_it(
    one: Submission, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "command", lambda words: TEXT)
    found, problem = rows(capsys)
    assert problem == ""
    assert found["frozen"] == ("queued", "Slurm 7_0 RUNNING n0")
    assert found["lora-hps"] == ("queued", "Slurm 7_1 PENDING (Resources)")
    state, detail = found["lora-stl"]
    assert state == "partial"
    assert detail.startswith("all at step 4 Slurm 7_2 has ended without a word (NODE_FAIL); see ")
    assert detail.endswith("7_2_0_log.out")
    assert found["ta-lora"] == ("partial", "all at step 4 interrupted; Slurm 7_3 has ended (PREEMPTED)")


def test_without_slurm_the_results_folder_alone_is_shown_and_that_is_said(
    one: Submission,
    jobs: list[Job],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("SLURM_CONF", "/nowhere/slurm.conf")
    CellFolder(tmp_path, "x", jobs[3].cell.id).record.write_text("{}")
    found, problem = rows(capsys)
    assert "SLURM_CONF=/nowhere/slurm.conf: there is no such file" in problem
    assert found["frozen"] == ("submitted", "Slurm 7_0")
    assert found["lora-stl"] == ("submitted", "all at step 4 Slurm 7_2")
    assert found["ta-lora"][0] == "done"
    assert call("status", "x", "--results=.") == 0
    assert "Slurm's queue cannot be asked" in capsys.readouterr().err
    code, told = call_json(capsys, "cancel", "x", "--results=.")
    assert (code, told["cancelled"]) == (0, {})
    assert "there is no such file" in told["problem"]
    assert one.cancelled.exists()
    assert rows(capsys)[0]["frozen"] == ("pending", "")
    assert call("watch", "x", "--results=.", "--every=0.2") == 0  # nothing more is expected
