"""What follows a task that ended badly, seen from its batch script; no Slurm is needed."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_run import make_cell

from tabench.runs.executor import Job, Options
from tabench.runs.slurm import record_death as ended
from tabench.runs.slurm.record_death import SAID, main, record_ending
from tabench.runs.slurm.submission import Submission, new_submission
from tabench.runs.slurm_settings import SlurmSettings
from tabench.store.folders import CellFolder

JOB = Job("x", make_cell("frozen"), "frozen s0", Path("data"), Path("weights"))
PLACE = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_JOB_ID": "31", "SLURMD_NODENAME": "n7"}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []
    monkeypatch.setattr(ended, "command", commands.append)
    return commands


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    found = CellFolder(tmp_path, "x", JOB.cell.id)
    found.path.mkdir(parents=True)
    found.journal("retry", kind="infrastructure", message="", retry=1, of=2)  # of an earlier command
    return found


@pytest.fixture
def one(tmp_path: Path, folder: CellFolder) -> Submission:
    found = new_submission(tmp_path / "x")
    found.write([JOB], Options(results=tmp_path, slurm=SlurmSettings(retries=2)), {JOB.cell.id: 1})
    return found


def test_a_killed_task_is_queued_again_until_the_limit(
    one: Submission, folder: CellFolder, given: list[list[str]]
) -> None:
    for times in (1, 2):
        folder.journal("start", attempt=times)
        assert record_ending(one, PLACE, 137) is None
        last = folder.read_journal()[-1]
        assert (last["event"], last["retry"], last["of"]) == ("retry", times, 2)
        assert last["message"] == "its process on n7 was killed (SIGKILL, often for want of memory)"
    assert given == [["scontrol", "requeue", "31"]] * 2
    folder.journal("start", attempt=3)
    outcome = record_ending(one, PLACE, 139)
    assert outcome is not None
    assert (outcome.state, outcome.kind) == ("failed", "infrastructure")
    assert outcome.message == "its process on n7 was killed (SIGSEGV); tried 3 times"
    assert folder.read_failure()["message"] == outcome.message
    assert folder.read_failure()["attempt"] == 3
    assert folder.state() == "failed"
    assert len(given) == 2


def test_a_task_that_never_came_to_its_cell_counts_too(
    one: Submission, folder: CellFolder, given: list[list[str]]
) -> None:
    assert [record_ending(one, PLACE, 1) is None for _ in range(3)] == [True, True, False]
    assert folder.read_failure()["message"] == "its process on n7 ended with exit code 1; tried 3 times"
    assert len(given) == 2


@pytest.mark.parametrize("what", ["zero", "said", "cancelled", "record", "failed", "given-up"])
def test_what_has_ended_is_let_be(
    one: Submission, folder: CellFolder, given: list[list[str]], what: str
) -> None:
    if what == "cancelled":
        one.cancel()
    elif what == "record":
        folder.record.write_text("{}")
    elif what == "failed":  # whoever started the task lost its exit code
        folder.journal("failed", kind="diverged", message="not finite")
    elif what == "given-up":
        for retry in (1, 2):
            folder.journal("retry", kind="infrastructure", message="", retry=retry, of=2)
        folder.journal("failed", kind="infrastructure", message="the disk is full")
    before = folder.read_journal()
    assert record_ending(one, PLACE, {"zero": 0, "said": SAID}.get(what, 1)) is None
    assert (folder.read_journal(), given) == (before, [])


def test_a_submission_that_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "1"]) == 2
    assert "jobs.json" in capsys.readouterr().err
