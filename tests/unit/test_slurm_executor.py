"""What the store and the queue say decides how a cell ended; no Slurm is needed."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from tiny_run import make_cell

from tabench.events import Retry
from tabench.runs.executor import CellEvent, Job, Options, Outcome, read_jobs, write_jobs
from tabench.runs.slurm import executor, queue
from tabench.runs.slurm.executor import SlurmExecutor
from tabench.runs.slurm.queue import SlurmError, new_submission, submissions
from tabench.runs.slurm_settings import SlurmSettings
from tabench.store.folders import CellFolder

RUNNING = "7_0|RUNNING|n0\n7_1|RUNNING|n1\n"


class Cluster:
    """A queue that always says `text`; what is submitted becomes array 7 and the next ones."""

    def __init__(self, results: Path, patch: pytest.MonkeyPatch) -> None:
        cells = [make_cell(name) for name in ("frozen", "lora-hps")]
        self.results, self.text = results, RUNNING
        self.jobs = [Job("x", cell, cell.label, Path("data"), Path("weights")) for cell in cells]
        self.folders = [CellFolder(results, "x", cell.id) for cell in cells]
        for folder in self.folders:
            folder.path.mkdir(parents=True)
        self.sent: list[list[Job]] = []
        self.heard: list[CellEvent] = []
        patch.setattr(executor, "LOOK_SECONDS", 0.01)
        patch.setattr(executor, "ASK_SECONDS", 0.03)
        patch.setattr(executor, "submit", self._submit)
        patch.setattr(queue, "command", lambda words: self.text)

    def _submit(self, jobs: list[Job], options: Options, experiment: Path, since: dict[str, int]) -> None:
        self.sent.append(jobs)
        submission = new_submission(experiment)
        write_jobs(submission.jobs_file, jobs, options, since)
        submission.write_queued(str(6 + len(self.sent)), jobs)

    def run(self, count: int = 2, **how: Any) -> list[Outcome]:
        return SlurmExecutor().run(self.jobs[:count], Options(results=self.results, **how), self.heard.append)

    def names(self) -> list[str]:
        return [told.event.name for told in self.heard]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(tmp_path, monkeypatch)


@contextmanager
def later(seconds: float, act: Callable[[], object]) -> Iterator[None]:
    timer = threading.Timer(seconds, act)
    timer.start()
    yield
    timer.join()


def test_a_record_or_a_journalled_failure_ends_a_cell(cluster: Cluster) -> None:
    first, second = cluster.folders
    second.journal("failed", kind="data", message="an attempt of yesterday")

    def work() -> None:
        first.journal("start", attempt=1)
        first.record.write_text("{}")
        second.journal("failed", kind="diverged", message="not finite")

    with later(0.2, work):
        done, failed = cluster.run()
    assert (done.state, failed.state, failed.kind) == ("done", "failed", "diverged")
    assert failed.message == "not finite"
    assert cluster.names() == ["start", "failed"]


def test_a_failed_cell_ends_the_others_where_that_was_asked(cluster: Cluster) -> None:
    with later(0.2, lambda: cluster.folders[0].journal("failed", kind="data", message="no image")):
        outcomes = cluster.run(on_error="stop")
    assert [outcome.state for outcome in outcomes] == ["failed", "interrupted"]
    assert [one.cancelled.exists() for one in submissions(cluster.results / "x")] == [True]


def test_a_cell_that_left_the_queue_without_a_word_is_submitted_again_and_counted(cluster: Cluster) -> None:
    cluster.text = "7_0|TIMEOUT|\n7_1|NODE_FAIL|\n8_0|FAILED|\n9_0|OUT_OF_MEMORY|\n"
    cluster.folders[1].record.write_text("{}")
    lost, done = cluster.run()
    assert cluster.sent == [cluster.jobs, cluster.jobs[:1], cluster.jobs[:1]]
    assert done.state == "done"
    assert (lost.state, lost.kind) == ("failed", "infrastructure")
    assert "9_0 ended without a word (OUT_OF_MEMORY); see" in lost.message
    assert "9_0_0_log.out; tried 3 times" in lost.message
    assert cluster.names() == ["retry", "retry", "failed"]
    assert cluster.folders[0].read_failure()["message"] == lost.message
    first = {cluster.jobs[0].cell.id: 0}
    again = [read_jobs(one.jobs_file).since for one in submissions(cluster.results / "x")[1:]]
    assert again == [first, first]


@pytest.mark.parametrize("word", ["interrupted", "start"])
def test_a_cell_that_slurm_ended_on_purpose_is_left_for_the_next_command(cluster: Cluster, word: str) -> None:
    state = "PREEMPTED" if word == "interrupted" else "CANCELLED"
    cluster.text = f"7_0|{state}|\n"
    with later(0.01, lambda: cluster.folders[0].journal(word)):
        (ended,) = cluster.run(1)
    assert (ended.state, len(cluster.sent)) == ("interrupted", 1)
    assert f"ended by Slurm ({state})" in ended.message
    assert not cluster.folders[0].failure.exists()


def test_a_cell_whose_claim_is_fresh_is_waited_for(cluster: Cluster) -> None:
    cluster.text = "7_0|NODE_FAIL|\n"
    first = cluster.folders[0]
    first.claim.write_text('{"host": "a node that may be alive", "pid": 1, "started": ""}')
    with later(0.4, lambda: first.record.write_text("{}")):
        (outcome,) = cluster.run(1)
    assert (outcome.state, len(cluster.sent)) == ("done", 1)


def test_a_failure_whose_retry_could_not_be_queued_is_submitted_again_with_its_own_words(
    cluster: Cluster,
) -> None:
    cluster.text = "7_0|FAILED|\n8_0|FAILED|\n"
    first = cluster.folders[0]

    def work() -> None:
        first.journal("start", attempt=1)
        first.journal("failed", kind="infrastructure", message="the disk is full")

    with later(0.01, work):
        (lost,) = cluster.run(1, slurm=SlurmSettings(retries=1))
    assert len(cluster.sent) == 2
    retries = [one.event.message for one in cluster.heard if isinstance(one.event, Retry)]
    assert retries == ["the disk is full"]
    assert "8_0 ended without a word (FAILED)" in lost.message


def test_a_queue_that_cannot_be_asked_for_what_was_submitted_stops_a_second_submission(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_submission(cluster.results / "x").write_queued("6", cluster.jobs[:1])

    def refuse(words: list[str]) -> str:
        raise SlurmError("no answer")

    monkeypatch.setattr(queue, "command", refuse)
    with pytest.raises(SlurmError, match="no answer"):
        cluster.run()
    assert cluster.sent == []


def test_what_is_queued_is_followed_and_not_submitted_again(cluster: Cluster) -> None:
    cluster.text = "6_0|PENDING|(Resources)\n"
    there = new_submission(cluster.results / "x")
    write_jobs(there.jobs_file, cluster.jobs[:1], Options(results=cluster.results))
    there.write_queued("6", cluster.jobs[:1])
    for folder in cluster.folders:
        folder.record.write_text("{}")
    assert [outcome.state for outcome in cluster.run()] == ["done", "done"]
    assert cluster.sent == [cluster.jobs[1:]]


def test_stopping_the_follower_stops_no_cell(cluster: Cluster) -> None:
    with later(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)):
        outcomes = cluster.run()
    assert [outcome.state for outcome in outcomes] == ["interrupted", "interrupted"]
    assert "goes on in the cluster" in outcomes[0].message
