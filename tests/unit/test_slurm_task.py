"""What a task makes of signals, of a cancellation and of a claim that a dead node left."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from tiny_run import make_cell

from tabench.runs import cell_run
from tabench.runs.executor import Job, Options, Outcome
from tabench.runs.slurm import task
from tabench.runs.slurm.queue import Submission, new_submission
from tabench.runs.slurm.submit import SAID
from tabench.runs.slurm.task import Wish, look_after, main, patiently, run_element
from tabench.runs.slurm_settings import SlurmSettings
from tabench.store.claim import SILENT_SECONDS
from tabench.store.folders import CellFolder

JOB = Job("x", make_cell("frozen"), "frozen s0", Path("data"), Path("weights"))
PLACE = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_JOB_ID": "31"}
LOOK = ["scontrol", "--oneliner", "show", "job", "31"]
REQUEUE = ["scontrol", "requeue", "31"]


class Cluster:
    """Answers of `run_cell` in order, and the commands that were given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *states: str) -> None:
        self.states = list(states)
        self.kind = "infrastructure"
        self.says = "JobId=31 JobState=COMPLETING PreemptTime=2026-11-24T14:35:05"
        self.given: list[list[str]] = []
        self.seen: list[Options] = []
        monkeypatch.setattr(cell_run, "run_cell", self._run)
        monkeypatch.setattr(task, "command", self._command)

    def _command(self, words: list[str]) -> str:
        self.given.append(words)
        return self.says

    def _run(self, job: Job, options: Options, listener: object, should_stop: object) -> Outcome:
        self.seen.append(options)
        state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
        return Outcome(job, state, self.kind if state == "failed" else "")  # type: ignore[arg-type]


@pytest.fixture
def one(tmp_path: Path) -> Submission:
    found = new_submission(tmp_path)
    found.write([JOB], Options(results=tmp_path, slurm=SlurmSettings(requeues=2, cpus=3)))
    return found


def asked(one: Submission, *signals: int) -> Wish:
    wish = Wish(one.cancelled)
    wish.signals.extend(signals)
    return wish


def test_signals_are_heard_and_interrupt_nothing(one: Submission) -> None:
    with Wish(one.cancelled).listening(signal.SIGUSR2, signal.SIGTERM, signal.SIGINT) as wish:
        assert not wish()
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert wish()
        assert wish.again()


def test_the_end_of_the_time_queues_the_cell_again(one: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "interrupted")
    assert run_element(one, PLACE, asked(one, signal.SIGUSR2)) == 0
    assert cluster.given == [["scontrol", "requeue", "31"]]


@pytest.mark.parametrize("state", ["RUNNING", "SIGNALING", "COMPLETING"])
def test_a_preempted_job_that_ends_within_its_grace_queues_itself(
    one: Submission, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    cluster = Cluster(monkeypatch, "interrupted")
    cluster.says = f"JobId=31 JobState={state} PreemptEligibleTime=x PreemptTime=2026-11-24T14:35:05"
    assert run_element(one, PLACE, asked(one, signal.SIGTERM)) == 0
    assert cluster.given == ([LOOK] if state == "COMPLETING" else [LOOK, REQUEUE])
    cluster.given.clear()
    cluster.says = f"JobId=31 JobState={state} PreemptEligibleTime=2026-11-24T14:35:05 PreemptTime=None"
    assert run_element(one, PLACE, asked(one, signal.SIGTERM)) == 0  # `scancel --signal=TERM`
    assert cluster.given == [LOOK]


def test_a_failure_that_another_try_may_cure_is_queued_again_a_few_times(
    one: Submission, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(monkeypatch, "failed")
    assert [run_element(one, PLACE, asked(one)) for _ in range(3)] == [0, 0, SAID]
    assert cluster.given == [REQUEUE] * 2
    journal = CellFolder(tmp_path, "x", JOB.cell.id).read_journal()
    assert [(event["event"], event["retry"], event["of"]) for event in journal] == [
        ("retry", 1, 2),
        ("retry", 2, 2),
    ]
    cluster.kind = "diverged"
    assert run_element(one, PLACE, asked(one)) == SAID
    assert len(cluster.given) == 2


def test_an_attempt_that_ended_without_a_word_counts(
    one: Submission, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = Cluster(monkeypatch, "done")
    folder = CellFolder(tmp_path, "x", JOB.cell.id)
    folder.path.mkdir(parents=True)
    folder.journal("start", attempt=1)
    assert run_element(one, PLACE, asked(one)) == 0  # of an earlier command
    assert [event["event"] for event in folder.read_journal()] == ["start"]
    again = {**PLACE, "SLURM_RESTART_COUNT": "1"}
    for times in (1, 2):
        assert run_element(one, again, asked(one)) == 0
        assert folder.read_journal()[-1]["retry"] == times
        folder.journal("start", attempt=times + 1)
    assert len(cluster.seen) == 3
    assert run_element(one, again, asked(one)) == SAID
    assert len(cluster.seen) == 3
    assert folder.read_failure()["message"] == "its node or its process died; tried 3 times"
    assert folder.read_failure()["attempt"] == 3
    assert folder.read_journal()[-1]["event"] == "failed"


def test_a_finished_or_failed_cell_is_never_queued_again(
    one: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    for state, code in (("done", 0), ("failed", SAID)):
        cluster = Cluster(monkeypatch, state)
        cluster.kind = "data"
        assert run_element(one, PLACE, asked(one, signal.SIGUSR2)) == code
        assert cluster.given == []


def test_no_cell_goes_round_for_ever(one: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "interrupted")
    assert run_element(one, {**PLACE, "SLURM_RESTART_COUNT": "2"}, asked(one, signal.SIGUSR2)) == SAID
    assert cluster.given == []


def test_a_cancelled_cell_stops_and_does_not_begin(one: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "done")
    wish = asked(one, signal.SIGUSR2)
    one.cancelled.touch()
    assert Wish(one.cancelled)()
    assert not wish.again()
    assert run_element(one, PLACE, wish) == 0
    assert cluster.seen == []


def test_a_task_uses_the_cores_it_was_given(one: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "done")
    run_element(one, PLACE, asked(one))
    run_element(one, {**PLACE, "SLURM_CPUS_PER_TASK": "5"}, asked(one))
    monkeypatch.setattr("tabench.runs.local.torchrun.run_in_torchrun", cluster._run)
    several = new_submission(one.path.parent)
    several.write([JOB], Options(results=one.path, slurm=SlurmSettings(cpus=8), processes=3))
    run_element(several, PLACE, asked(several))
    assert [options.threads for options in cluster.seen] == [3, 5, 2]


def test_a_claim_of_a_dead_node_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    monkeypatch.setattr(task.time, "sleep", slept.append)
    Cluster(monkeypatch, "busy", "busy", "done")
    assert patiently(JOB, Options(results=tmp_path), lambda: False).state == "done"
    assert len(slept) == 2

    slept.clear()
    Cluster(monkeypatch, "busy")  # it is alive after all
    assert patiently(JOB, Options(results=tmp_path), lambda: False).state == "busy"
    assert SILENT_SECONDS < sum(slept) < SILENT_SECONDS + 60


# what follows a task that ended badly, seen from its batch script

NODE = {**PLACE, "SLURMD_NODENAME": "n7"}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    commands: list[list[str]] = []
    monkeypatch.setattr(task, "command", commands.append)
    return commands


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    found = CellFolder(tmp_path, "x", JOB.cell.id)
    found.path.mkdir(parents=True)
    found.journal("retry", kind="infrastructure", retry=1, of=2)  # of an earlier command
    return found


@pytest.fixture
def late(tmp_path: Path, folder: CellFolder) -> Submission:
    found = new_submission(tmp_path / "x")
    found.write([JOB], Options(results=tmp_path, slurm=SlurmSettings(retries=2)), {JOB.cell.id: 1})
    return found


def test_a_killed_task_is_queued_again_until_the_limit(
    late: Submission, folder: CellFolder, given: list[list[str]]
) -> None:
    for times in (1, 2):
        folder.journal("start", attempt=times)
        assert look_after(late, NODE, 137) is None
        last = folder.read_journal()[-1]
        assert (last["event"], last["retry"], last["of"]) == ("retry", times, 2)
        assert last["message"] == "its process on n7 was killed (SIGKILL, often for want of memory)"
    assert given == [["scontrol", "requeue", "31"]] * 2
    folder.journal("start", attempt=3)
    outcome = look_after(late, NODE, 139)
    assert outcome is not None
    assert (outcome.state, outcome.kind) == ("failed", "infrastructure")
    assert outcome.message == "its process on n7 was killed (SIGSEGV); tried 3 times"
    assert folder.read_failure()["message"] == outcome.message
    assert folder.read_failure()["attempt"] == 3
    assert folder.state() == "failed"
    assert len(given) == 2


@pytest.mark.parametrize("what", ["zero", "said", "cancelled", "record", "failed", "given-up"])
def test_what_has_ended_is_let_be(
    late: Submission, folder: CellFolder, given: list[list[str]], what: str
) -> None:
    if what == "cancelled":
        late.cancelled.touch()
    elif what == "record":
        folder.record.write_text("{}")
    elif what == "failed":  # whoever started the task lost its exit code
        folder.journal("failed", kind="diverged", message="not finite")
    elif what == "given-up":
        for retry in (1, 2):
            folder.journal("retry", kind="infrastructure", retry=retry, of=2)
        folder.journal("failed", kind="infrastructure", message="the disk is full")
    before = folder.read_journal()
    assert look_after(late, NODE, {"zero": 0, "said": SAID}.get(what, 1)) is None
    assert (folder.read_journal(), given) == (before, [])


def test_a_submission_that_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "1"]) == 2
    assert "jobs.json" in capsys.readouterr().err
