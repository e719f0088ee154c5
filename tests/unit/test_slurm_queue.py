"""Submissions on disk, and what the queue adds to the states of the store; no Slurm is needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import call, call_json
from tiny_run import make_cell

from tabench.errors import StoreError
from tabench.runs.executor import Job, Options, read_jobs, write_jobs
from tabench.runs.slurm import queue
from tabench.runs.slurm.queue import (
    Queued,
    SlurmError,
    Submission,
    cells_of,
    command,
    new_submission,
    open_submissions,
    submissions,
)
from tabench.runs.slurm_settings import SlurmSettings
from tabench.store.folders import CellFolder, ExperimentFolder

TEXT = "7_0|RUNNING|n0\n7_1|PENDING|(Resources)\n7_2|COMPLETED|n1\n8_0|RUNNING|n1\n9_N/A|RUNNING|n2\n"


@pytest.fixture
def jobs() -> list[Job]:
    cells = [make_cell(name) for name in ("frozen", "lora-hps", "lora-stl", "ta-lora")]
    return [Job("x", cell, cell.label, Path("data"), Path("weights"), 1.5) for cell in cells]


def submitted(folder: Path, jobs: list[Job], array: str = "7") -> Submission:
    one = new_submission(folder)
    asked = Options(results=Path("results"), device="cuda", slurm=SlurmSettings(gpus=1))
    write_jobs(one.jobs_file, jobs, asked)
    one.write_queued(array, jobs)
    return one


def test_a_job_file_holds_plain_values_and_gives_back_what_was_written(
    tmp_path: Path, jobs: list[Job]
) -> None:
    one = submitted(tmp_path, jobs)
    json.loads(one.jobs_file.read_text())
    found = read_jobs(one.jobs_file)
    read, options = found.jobs, found.options
    assert [job.cell for job in read] == [job.cell for job in jobs]
    assert [job.cell.id for job in read] == [job.cell.id for job in jobs]
    assert read[0].data_root == Path("data").absolute()
    assert options == Options(results=Path("results").absolute(), device="cuda", slurm=SlurmSettings(gpus=1))
    assert one.elements() == {f"7_{n}": job.cell.id for n, job in enumerate(jobs)}


@pytest.mark.parametrize("change", [{"format": 2}, {"jobs": [{"experiment": "x"}]}, {"options": 3}])
def test_another_job_file_is_refused(tmp_path: Path, jobs: list[Job], change: dict[str, object]) -> None:
    one = submitted(tmp_path, jobs)
    one.jobs_file.write_text(json.dumps({**json.loads(one.jobs_file.read_text()), **change}))
    with pytest.raises(StoreError, match="is not a job file"):
        read_jobs(one.jobs_file)


def test_a_submission_that_sbatch_refused_counts_for_nothing(tmp_path: Path, jobs: list[Job]) -> None:
    write_jobs(new_submission(tmp_path).jobs_file, jobs, Options(results=Path("results")))
    assert submissions(tmp_path) == []


def test_cells_are_found_in_the_queue(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "command", lambda words: TEXT)
    one = submitted(tmp_path, jobs)
    there = cells_of(open_submissions(tmp_path))
    assert {cell: last.queued for cell, last in there.items() if last.waiting} == {
        jobs[0].cell.id: ("7_0", "RUNNING", "n0"),
        jobs[1].cell.id: ("7_1", "PENDING", "(Resources)"),
    }
    one.cancelled.touch()
    assert open_submissions(tmp_path) == []
    assert set(cells_of([one])) == {job.cell.id for job in jobs}


def test_of_a_cell_that_was_submitted_twice_the_last_element_counts(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue, "command", lambda words: TEXT)
    found = [submitted(tmp_path, jobs), submitted(tmp_path, jobs[2:], "8")]
    assert cells_of(found)[jobs[2].cell.id].queued == Queued("8_0", "RUNNING", "n1")


def test_what_is_wrong_with_slurm_is_said(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = submitted(tmp_path, jobs)
    monkeypatch.delenv("SLURM_CONF", raising=False)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SlurmError, match="`squeue` is not on this host"):
        cells_of([one])
    monkeypatch.setenv("SLURM_CONF", str(tmp_path / "slurm.conf"))
    with pytest.raises(SlurmError) as raised:
        cells_of([one])
    assert f"SLURM_CONF={tmp_path}/slurm.conf: there is no such file" in str(raised.value)


def test_a_program_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "squeue"
    program.write_text(
        "#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact slurm controller' >&2\nexit 1\n"
    )
    program.chmod(0o755)
    conf = tmp_path / "slurm.conf"
    conf.touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("SLURM_CONF", str(conf))
    with pytest.raises(SlurmError) as raised:
        command(["squeue", "-h"])
    assert "`squeue -h`: slurm_load_jobs error: Unable to contact slurm controller" in str(raised.value)
    assert f"SLURM_CONF={conf}" in str(raised.value)


def test_states_of_slurm(tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    text = "1_0|REQUEUED|(BeginTime)\n1_1|NODE_FAIL|\n1_2|COMPLETING|n0\n\nnoise\n"
    monkeypatch.setattr(queue, "command", lambda words: text)
    found = cells_of([submitted(tmp_path, jobs[:3], "1")])
    assert [last.waiting for last in found.values()] == [True, False, True]


# what `status` and `cancel` say of submitted cells: with a queue, and without Slurm

STATES = "7_0|RUNNING|n0\n7_1|PENDING|(Resources)\n7_2|NODE_FAIL|\n7_3|PREEMPTED|n1\n"


@pytest.fixture
def one(tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> Submission:
    monkeypatch.chdir(tmp_path)
    folder = ExperimentFolder(tmp_path, "x")
    labels = {job.cell.id: job.cell.method.name for job in jobs}
    folder.write_experiment({"title": "X", "profile": "demo", "cells": labels})
    found = submitted(folder.path, jobs)
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
    monkeypatch.setattr(queue, "command", lambda words: STATES)
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
