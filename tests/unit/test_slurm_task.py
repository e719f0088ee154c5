"""What a task makes of signals, of a cancellation, of a claim that a dead node left, and of its own end."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tiny_run import make_cell

from tabench.provenance.portable import MARK, VARIABLES
from tabench.runs import cell_run
from tabench.runs.executor import Job, Options, Outcome, write_jobs
from tabench.runs.slurm import task
from tabench.runs.slurm.queue import new_submission
from tabench.runs.slurm.submit import SAID
from tabench.runs.slurm.task import Wish, look_after, main, patiently, run_element
from tabench.runs.slurm_settings import SlurmSettings
from tabench.store.claim import SILENT_SECONDS
from tabench.store.folders import CellFolder

JOB = Job("x", make_cell("frozen"), "frozen s0", Path("data"), Path("weights"))
PLACE = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_JOB_ID": "31", "SLURMD_NODENAME": "n7"}
LOOK = ["scontrol", "--oneliner", "show", "job", "31"]
REQUEUE = ["scontrol", "requeue", "31"]
PREEMPTED = "JobId=31 JobState={} PreemptEligibleTime=x PreemptTime=2026-11-24T14:35:05"


class Cluster:
    """One submitted cell; answers of `run_cell` in order, and the commands that were given."""

    def __init__(self, results: Path, patch: pytest.MonkeyPatch) -> None:
        self.results, self.folder = results, CellFolder(results, "x", JOB.cell.id)
        self.folder.path.mkdir(parents=True)
        # of an earlier command
        self.folder.journal(
            "retry", kind="infrastructure", message="", retry=1, of=2
        )  # of an earlier command
        self.states = ["done"]
        self.kind = "infrastructure"
        self.says = PREEMPTED.format("COMPLETING")
        self.given: list[list[str]] = []
        self.seen: list[Options] = []
        patch.setattr(cell_run, "run_cell", self._run)
        patch.setattr("tabench.runs.local.torchrun.run_in_torchrun", self._run)
        patch.setattr(task, "command", self._command)
        self.submit(requeues=2, cpus=3)

    def submit(self, processes: int = 1, **settings: Any) -> None:
        self.submission = new_submission(self.results / "x")
        asked = Options(results=self.results, slurm=SlurmSettings(**settings), processes=processes)
        write_jobs(self.submission.jobs_file, [JOB], asked, {JOB.cell.id: 1})

    def _command(self, words: list[str]) -> str:
        self.given.append(words)
        return self.says

    def _run(self, job: Job, options: Options, listener: object, should_stop: object) -> Outcome:
        self.seen.append(options)
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return Outcome(job, state, self.kind if state == "failed" else "")  # type: ignore[arg-type]

    def wish(self, *signals: int) -> Wish:
        wish = Wish(self.submission.cancelled)
        wish.signals.extend(signals)
        return wish

    def run(self, *signals: int, **more: str) -> int:
        return run_element(self.submission, {**PLACE, **more}, self.wish(*signals))

    def events(self) -> list[dict[str, Any]]:
        return self.folder.read_journal()[1:]


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    return Cluster(tmp_path, monkeypatch)


def test_signals_are_heard_and_interrupt_nothing(cluster: Cluster) -> None:
    with cluster.wish().listening(signal.SIGUSR2, signal.SIGTERM, signal.SIGINT) as wish:
        assert not wish()
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert wish()
        assert wish.again()


def test_a_portable_cell_starts_its_task_anew_where_no_variables_are_handed_on(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    portable = make_cell("frozen", train__numerics="portable")
    write_jobs(cluster.submission.jobs_file, [replace(JOB, cell=portable)], Options(results=cluster.results))
    monkeypatch.setattr("tabench.provenance.portable.obstacle", lambda: "")
    monkeypatch.delenv(MARK, raising=False)
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "0")
    started: list[str] = []
    monkeypatch.setattr(task, "start_anew", lambda: started.append("anew"))
    assert main([str(cluster.submission.path)]) == 2
    assert started == ["anew"]
    assert not cluster.seen
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    assert main([str(cluster.submission.path)]) == 0
    assert [(options.device, options.threads) for options in cluster.seen] == [("cpu", 1)]


def test_the_end_of_the_time_queues_the_cell_again_but_not_for_ever(cluster: Cluster) -> None:
    cluster.states = ["interrupted"]
    assert cluster.run(signal.SIGUSR2) == 0
    assert cluster.given == [REQUEUE]
    assert cluster.run(signal.SIGUSR2, SLURM_RESTART_COUNT="2") == SAID
    assert cluster.given == [REQUEUE]


@pytest.mark.parametrize("state", ["RUNNING", "SIGNALING", "COMPLETING"])
def test_a_preempted_job_that_ends_within_its_grace_queues_itself(cluster: Cluster, state: str) -> None:
    cluster.states = ["interrupted"]
    cluster.says = PREEMPTED.format(state)
    assert cluster.run(signal.SIGTERM) == 0
    assert cluster.given == ([LOOK] if state == "COMPLETING" else [LOOK, REQUEUE])
    cluster.given.clear()
    cluster.says = f"JobId=31 JobState={state} PreemptEligibleTime=2026-11-24T14:35:05 PreemptTime=None"
    assert cluster.run(signal.SIGTERM) == 0  # `scancel --signal=TERM`
    assert cluster.given == [LOOK]


def test_a_failure_that_another_try_may_cure_is_queued_again_a_few_times(cluster: Cluster) -> None:
    cluster.states = ["failed"]
    assert [cluster.run() for _ in range(3)] == [0, 0, SAID]
    assert cluster.given == [REQUEUE] * 2
    told = [(event["event"], event["retry"], event["of"]) for event in cluster.events()]
    assert told == [("retry", 1, 2), ("retry", 2, 2)]
    cluster.kind = "diverged"
    assert cluster.run() == SAID
    assert len(cluster.given) == 2


def test_an_attempt_that_ended_without_a_word_counts(cluster: Cluster) -> None:
    cluster.folder.journal("start", attempt=1)
    assert cluster.run() == 0  # of an earlier command
    assert [event["event"] for event in cluster.events()] == ["start"]
    for times in (1, 2):
        assert cluster.run(SLURM_RESTART_COUNT="1") == 0
        assert cluster.events()[-1]["retry"] == times
        cluster.folder.journal("start", attempt=times + 1)
    assert len(cluster.seen) == 3
    assert cluster.run(SLURM_RESTART_COUNT="1") == SAID
    assert len(cluster.seen) == 3
    failure = cluster.folder.read_failure()
    assert (failure["message"], failure["attempt"]) == ("its node or its process died; tried 3 times", 3)
    assert cluster.events()[-1]["event"] == "failed"


def test_a_finished_or_failed_cell_is_never_queued_again(cluster: Cluster) -> None:
    cluster.kind = "data"
    for state, code in (("done", 0), ("failed", SAID)):
        cluster.states = [state]
        assert cluster.run(signal.SIGUSR2) == code
        assert cluster.given == []


def test_a_cancelled_cell_stops_and_does_not_begin(cluster: Cluster) -> None:
    cluster.submission.cancelled.touch()
    assert cluster.wish()()
    assert not cluster.wish(signal.SIGUSR2).again()
    assert cluster.run(signal.SIGUSR2) == 0
    assert cluster.seen == []


def test_a_task_uses_the_cores_it_was_given_and_its_processes_share_them(cluster: Cluster) -> None:
    cluster.run()
    cluster.run(SLURM_CPUS_PER_TASK="5")
    cluster.submit(cpus=8, processes=3)
    cluster.run()
    assert [options.threads for options in cluster.seen] == [3, 5, 2]


def test_a_claim_of_a_dead_node_is_waited_for(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(task.time, "sleep", slept.append)
    cluster.states = ["busy", "busy", "done"]
    assert patiently(JOB, Options(results=cluster.results), lambda: False).state == "done"
    assert len(slept) == 2

    slept.clear()
    cluster.states = ["busy"]  # it is alive after all
    assert patiently(JOB, Options(results=cluster.results), lambda: False).state == "busy"
    assert SILENT_SECONDS < sum(slept) < SILENT_SECONDS + 60


def test_a_killed_task_is_queued_again_until_the_limit(cluster: Cluster) -> None:
    for times in (1, 2):
        cluster.folder.journal("start", attempt=times)
        assert look_after(cluster.submission, PLACE, 137) is None
        last = cluster.events()[-1]
        assert (last["event"], last["retry"], last["of"]) == ("retry", times, 2)
        assert last["message"] == "its process on n7 was killed (SIGKILL, often for want of memory)"
    assert cluster.given == [REQUEUE] * 2
    cluster.folder.journal("start", attempt=3)
    outcome = look_after(cluster.submission, PLACE, 139)
    assert outcome is not None
    assert (outcome.state, outcome.kind) == ("failed", "infrastructure")
    assert outcome.message == "its process on n7 was killed (SIGSEGV); tried 3 times"
    failure = cluster.folder.read_failure()
    assert (failure["message"], failure["attempt"]) == (outcome.message, 3)
    assert len(cluster.given) == 2


@pytest.mark.parametrize("what", ["zero", "said", "cancelled", "record", "failed", "given-up"])
def test_what_has_ended_is_let_be(cluster: Cluster, what: str) -> None:
    if what == "cancelled":
        cluster.submission.cancelled.touch()
    elif what == "record":
        cluster.folder.record.write_text("{}")
    elif what == "failed":  # whoever started the task lost its exit code
        cluster.folder.journal("failed", kind="diverged", message="not finite")
    elif what == "given-up":
        for retry in (1, 2):
            cluster.folder.journal("retry", kind="infrastructure", message="", retry=retry, of=2)
        cluster.folder.journal("failed", kind="infrastructure", message="the disk is full")
    before = cluster.events()
    assert look_after(cluster.submission, PLACE, {"zero": 0, "said": SAID}.get(what, 1)) is None
    assert (cluster.events(), cluster.given) == (before, [])


def test_a_submission_that_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "1"]) == 2
    assert "jobs.json" in capsys.readouterr().err
