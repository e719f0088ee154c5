"""What the store and the queue say decides how a cell ended; no Slurm is needed."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from tiny_run import make_cell

from tabench.cli import main
from tabench.runs.executor import Event, Job, Options, Outcome
from tabench.runs.slurm import executor, queue
from tabench.runs.slurm.executor import SlurmExecutor
from tabench.runs.slurm.queue import SlurmError
from tabench.runs.slurm.submission import Submission, new_submission, submissions
from tabench.store.layout import CellFolder


@pytest.fixture
def jobs() -> list[Job]:
    cells = [make_cell(name) for name in ("frozen", "lora-hps")]
    return [Job("x", cell, cell.label, Path("data"), Path("weights")) for cell in cells]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(executor, "ASK_SECONDS", 0.03)


def cluster(monkeypatch: pytest.MonkeyPatch, text: str) -> list[list[Job]]:
    """A queue that always says `text`; what is submitted becomes array 7."""
    sent: list[list[Job]] = []

    def submit(jobs: list[Job], options: Options, submission: Submission) -> str:
        sent.append(jobs)
        submission.write_queued("7", jobs)
        return "7"

    monkeypatch.setattr(executor, "submit", submit)
    monkeypatch.setattr(queue, "command", lambda words: text)
    return sent


def run(jobs: list[Job], results: Path, events: list[Event] | None = None) -> list[Outcome]:
    heard = [] if events is None else events
    return SlurmExecutor().run(jobs, Options(results), heard.append)


def folder(results: Path, job: Job) -> CellFolder:
    found = CellFolder(results, "x", job.cell.id)
    found.path.mkdir(parents=True, exist_ok=True)
    return found


def test_a_record_or_a_journalled_failure_ends_a_cell(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster(monkeypatch, "7_0|RUNNING|n0\n7_1|RUNNING|n1\n")
    first, second = (folder(tmp_path, job) for job in jobs)
    second.journal("failed", kind="data", message="an attempt of yesterday")

    def work() -> None:
        first.journal("start", attempt=1)
        first.record.write_text("{}")
        second.journal("failed", kind="diverged", message="not finite")

    timer = threading.Timer(0.2, work)
    timer.start()
    events: list[Event] = []
    done, failed = run(jobs, tmp_path, events)
    timer.join()
    assert (done.state, failed.state, failed.kind, failed.message) == (
        "done",
        "failed",
        "diverged",
        "not finite",
    )
    assert [event.kind for event in events] == ["start", "failed"]


def test_a_failed_cell_ends_the_others_where_that_was_asked(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster(monkeypatch, "7_0|RUNNING|n0\n7_1|RUNNING|n1\n")
    first = folder(tmp_path, jobs[0])
    timer = threading.Timer(0.2, lambda: first.journal("failed", kind="data", message="no image"))
    timer.start()
    outcomes = SlurmExecutor().run(jobs, Options(tmp_path, on_error="stop"), lambda event: None)
    timer.join()
    assert [outcome.state for outcome in outcomes] == ["failed", "interrupted"]
    assert [one.cancelled.exists() for one in submissions(tmp_path / "x")] == [True]


def test_a_cell_that_left_the_queue_without_a_word_is_lost(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster(monkeypatch, "7_0|CANCELLED|\n")
    one, _ = run(jobs, tmp_path)
    assert (one.state, one.kind) == ("failed", "infrastructure")
    assert "7_0 ended without a record; see" in one.message
    assert "7_0_0_log.out" in one.message


def test_what_is_queued_is_followed_and_not_submitted_again(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = cluster(monkeypatch, "6_0|PENDING|(Resources)\n")
    new_submission(tmp_path / "x").write_queued("6", jobs[:1])
    for job in jobs:
        folder(tmp_path, job).record.write_text("{}")
    assert [outcome.state for outcome in run(jobs, tmp_path)] == ["done", "done"]
    assert sent == [[jobs[1]]]


def test_stopping_the_follower_stops_no_cell(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster(monkeypatch, "7_0|RUNNING|n0\n7_1|RUNNING|n1\n")
    timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
    timer.start()
    outcomes = run(jobs, tmp_path)
    timer.join()
    assert [outcome.state for outcome in outcomes] == ["interrupted", "interrupted"]
    assert "goes on in the cluster" in outcomes[0].message


def test_a_host_without_slurm_says_so(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SlurmError, match="nothing was submitted"):
        run(jobs, tmp_path)


def test_settings_of_slurm_need_its_executor(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "nyuv2", "--slurm=partition=gpu"])
    assert ended.value.code == 2
    assert "add --executor slurm" in capsys.readouterr().err
