"""What the store and the queue say decides how a cell ended; no Slurm is needed."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from tiny_run import make_cell

from tabench.cli import main
from tabench.events import Retry
from tabench.runs.executor import CellEvent, Job, Options, Outcome
from tabench.runs.slurm import executor, queue
from tabench.runs.slurm.executor import SlurmExecutor
from tabench.runs.slurm.queue import SlurmError
from tabench.runs.slurm.submission import new_submission, submissions
from tabench.runs.slurm_settings import SlurmSettings
from tabench.store.folders import CellFolder


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

    def submit(jobs: list[Job], options: Options, experiment: Path, since: dict[str, int]) -> None:
        sent.append(jobs)
        submission = new_submission(experiment)
        submission.write(jobs, options, since)
        submission.write_queued(str(6 + len(sent)), jobs)

    monkeypatch.setattr(executor, "submit", submit)
    monkeypatch.setattr(queue, "command", lambda words: text)
    return sent


def run(jobs: list[Job], results: Path, events: list[CellEvent] | None = None) -> list[Outcome]:
    heard = [] if events is None else events
    return SlurmExecutor().run(jobs, Options(results=results), heard.append)


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
    events: list[CellEvent] = []
    done, failed = run(jobs, tmp_path, events)
    timer.join()
    assert (done.state, failed.state, failed.kind, failed.message) == (
        "done",
        "failed",
        "diverged",
        "not finite",
    )
    assert [event.event.name for event in events] == ["start", "failed"]


def test_a_failed_cell_ends_the_others_where_that_was_asked(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster(monkeypatch, "7_0|RUNNING|n0\n7_1|RUNNING|n1\n")
    first = folder(tmp_path, jobs[0])
    timer = threading.Timer(0.2, lambda: first.journal("failed", kind="data", message="no image"))
    timer.start()
    outcomes = SlurmExecutor().run(jobs, Options(results=tmp_path, on_error="stop"), lambda event: None)
    timer.join()
    assert [outcome.state for outcome in outcomes] == ["failed", "interrupted"]
    assert [one.cancelled.exists() for one in submissions(tmp_path / "x")] == [True]


def test_a_cell_that_left_the_queue_without_a_word_is_submitted_again_and_counted(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = cluster(monkeypatch, "7_0|TIMEOUT|\n7_1|NODE_FAIL|\n8_0|FAILED|\n9_0|OUT_OF_MEMORY|\n")
    second = folder(tmp_path, jobs[1])
    second.record.write_text("{}")
    events: list[CellEvent] = []
    lost, done = run(jobs, tmp_path, events)
    assert [[job.label for job in part] for part in sent] == [
        [jobs[0].label, jobs[1].label],
        [jobs[0].label],
        [jobs[0].label],
    ]
    assert done.state == "done"
    assert (lost.state, lost.kind) == ("failed", "infrastructure")
    assert "9_0 ended without a word (OUT_OF_MEMORY); see" in lost.message
    assert "9_0_0_log.out; tried 3 times" in lost.message
    assert [event.event.name for event in events] == ["retry", "retry", "failed"]
    assert folder(tmp_path, jobs[0]).read_failure()["message"] == lost.message
    assert [one.since() for one in submissions(tmp_path / "x")[1:]] == [{jobs[0].cell.id: 0}] * 2


def test_as_often_as_was_asked(tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch) -> None:
    sent = cluster(monkeypatch, "")
    asked = Options(results=tmp_path, slurm=SlurmSettings(retries=0))
    (lost,) = SlurmExecutor().run(jobs[:1], asked, lambda event: None)
    assert len(sent) == 1
    assert "tried 1 times" in lost.message


@pytest.mark.parametrize("word", ["interrupted", "start"])
def test_a_cell_that_slurm_ended_on_purpose_is_left_for_the_next_command(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    state = "PREEMPTED" if word == "interrupted" else "CANCELLED"
    sent = cluster(monkeypatch, f"7_0|{state}|\n")
    timer = threading.Timer(0.01, lambda: folder(tmp_path, jobs[0]).journal(word))
    timer.start()
    (ended,) = run(jobs[:1], tmp_path)
    timer.join()
    assert (ended.state, len(sent)) == ("interrupted", 1)
    assert f"ended by Slurm ({state})" in ended.message
    assert not folder(tmp_path, jobs[0]).failure.exists()


def test_a_cell_whose_claim_is_fresh_is_waited_for(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = cluster(monkeypatch, "7_0|NODE_FAIL|\n")
    first = folder(tmp_path, jobs[0])
    first.claim.write_text('{"host": "a node that may be alive", "pid": 1}')
    timer = threading.Timer(0.4, lambda: first.record.write_text("{}"))
    timer.start()
    (outcome,) = run(jobs[:1], tmp_path)
    timer.join()
    assert (outcome.state, len(sent)) == ("done", 1)


def test_a_failure_whose_retry_could_not_be_queued_is_submitted_again_with_its_own_words(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = cluster(monkeypatch, "7_0|FAILED|\n8_0|FAILED|\n")
    first = folder(tmp_path, jobs[0])

    def work() -> None:
        first.journal("start", attempt=1)
        first.journal("failed", kind="infrastructure", message="the disk is full")

    timer = threading.Timer(0.01, work)
    timer.start()
    events: list[CellEvent] = []
    asked = Options(results=tmp_path, slurm=SlurmSettings(retries=1))
    (lost,) = SlurmExecutor().run(jobs[:1], asked, events.append)
    timer.join()
    assert len(sent) == 2
    assert [one.event.message for one in events if isinstance(one.event, Retry)] == ["the disk is full"]
    assert "8_0 ended without a word (FAILED)" in lost.message


def test_a_failure_that_is_tried_again_ends_nothing(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = cluster(monkeypatch, "7_0|RUNNING|n0\n")
    first = folder(tmp_path, jobs[0])

    def work() -> None:
        for retry in (1, 2):
            first.journal("failed", kind="infrastructure", message="the disk is full")
            first.journal("retry", kind="infrastructure", message="", retry=retry, of=2, pause_s=0.0)
        first.journal("start", attempt=3)
        first.journal("failed", kind="infrastructure", message="the disk is full still")

    timer = threading.Timer(0.1, work)
    timer.start()
    (outcome,) = run(jobs[:1], tmp_path)
    timer.join()
    assert (outcome.message, len(sent)) == ("the disk is full still", 1)


def test_a_queue_that_cannot_be_asked_for_what_was_submitted_stops_a_second_submission(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = cluster(monkeypatch, "")
    new_submission(tmp_path / "x").write_queued("6", jobs[:1])

    def refuse(words: list[str]) -> str:
        raise SlurmError("no answer")

    monkeypatch.setattr(queue, "command", refuse)
    with pytest.raises(SlurmError, match="no answer"):
        run(jobs, tmp_path)
    assert sent == []


def test_what_is_queued_is_followed_and_not_submitted_again(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = cluster(monkeypatch, "6_0|PENDING|(Resources)\n")
    there = new_submission(tmp_path / "x")
    there.write(jobs[:1], Options(results=tmp_path))
    there.write_queued("6", jobs[:1])
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
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SlurmError, match="nothing was submitted: `sbatch` is not on this host"):
        run(jobs, tmp_path)


def test_settings_of_slurm_need_its_executor(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["run", "nyuv2", "--slurm=partition=gpu"])
    assert ended.value.code == 2
    assert "add --executor slurm" in capsys.readouterr().err
