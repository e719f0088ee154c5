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
from tabench.runs.slurm.settings import SlurmSettings
from tabench.runs.slurm.submission import Submission, new_submission
from tabench.runs.slurm.task import Wish, patiently, run_element
from tabench.store.holder import SILENT_SECONDS

JOB = Job("x", make_cell("frozen"), "frozen s0", Path("data"), Path("weights"))
PLACE = {"SLURM_ARRAY_TASK_ID": "0", "SLURM_JOB_ID": "31"}


class Cluster:
    """Answers of `run_cell` in order, and the commands that were given."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *states: str) -> None:
        self.states = list(states)
        self.given: list[list[str]] = []
        self.seen: list[Options] = []
        monkeypatch.setattr(cell_run, "run_cell", self._run)
        monkeypatch.setattr(task, "command", self.given.append)

    def _run(self, job: Job, options: Options, listener: object, should_stop: object) -> Outcome:
        self.seen.append(options)
        return Outcome(job, self.states.pop(0) if len(self.states) > 1 else self.states[0])  # type: ignore[arg-type]


@pytest.fixture
def one(tmp_path: Path) -> Submission:
    found = new_submission(tmp_path)
    found.write([JOB], Options(tmp_path, slurm=SlurmSettings(requeues=2, cpus=3)))
    return found


def asked(one: Submission, *signals: int) -> Wish:
    wish = Wish(one.cancelled)
    wish.signals.extend(signals)
    return wish


def test_signals_are_heard_and_interrupt_nothing(one: Submission) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT)}
    wish = Wish(one.cancelled)
    try:
        wish.listen()
        assert not wish()
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGTERM):
            os.kill(os.getpid(), number)
        assert wish()
        assert wish.again()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_the_end_of_the_time_queues_the_cell_again(one: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "interrupted")
    assert run_element(one, PLACE, asked(one, signal.SIGUSR2)) == 0
    assert cluster.given == [["scontrol", "requeue", "31"]]


def test_slurms_own_end_does_not(one: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "interrupted")
    assert run_element(one, PLACE, asked(one, signal.SIGTERM)) == 0
    assert cluster.given == []


def test_a_finished_or_failed_cell_is_never_queued_again(
    one: Submission, monkeypatch: pytest.MonkeyPatch
) -> None:
    for state, code in (("done", 0), ("failed", 1)):
        cluster = Cluster(monkeypatch, state)
        assert run_element(one, PLACE, asked(one, signal.SIGUSR2)) == code
        assert cluster.given == []


def test_no_cell_goes_round_for_ever(one: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "interrupted")
    assert run_element(one, {**PLACE, "SLURM_RESTART_COUNT": "2"}, asked(one, signal.SIGUSR2)) == 1
    assert cluster.given == []


def test_a_cancelled_cell_stops_and_does_not_begin(one: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "done")
    wish = asked(one, signal.SIGUSR2)
    one.cancel()
    assert Wish(one.cancelled)()
    assert not wish.again()
    assert run_element(one, PLACE, wish) == 0
    assert cluster.seen == []


def test_a_task_uses_the_cores_it_was_given(one: Submission, monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = Cluster(monkeypatch, "done")
    run_element(one, PLACE, asked(one))
    run_element(one, {**PLACE, "SLURM_CPUS_PER_TASK": "5"}, asked(one))
    assert [options.threads for options in cluster.seen] == [3, 5]


def test_processes_share_the_cores_of_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    several = new_submission(tmp_path)
    several.write([JOB], Options(tmp_path, slurm=SlurmSettings(cpus=8), processes=3))
    seen: list[Options] = []

    def run(job: Job, options: Options, listener: object, should_stop: object) -> Outcome:
        seen.append(options)
        return Outcome(job, "done")

    monkeypatch.setattr("tabench.runs.torchrun.run_in_torchrun", run)
    assert run_element(several, PLACE, asked(several)) == 0
    assert [(options.processes, options.threads) for options in seen] == [(3, 2)]


def test_a_claim_of_a_dead_node_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    slept: list[float] = []
    Cluster(monkeypatch, "busy", "busy", "done")
    assert patiently(JOB, Options(tmp_path), lambda: False, slept.append).state == "done"
    assert len(slept) == 2

    slept.clear()
    Cluster(monkeypatch, "busy")  # it is alive after all
    assert patiently(JOB, Options(tmp_path), lambda: False, slept.append).state == "busy"
    assert SILENT_SECONDS < sum(slept) < SILENT_SECONDS + 60
