from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from patience import PATIENCE
from tiny_run import make_cell

from tabench.errors import FAILURE_KINDS, RETRIED_KINDS
from tabench.events import Retry
from tabench.runs import retrying
from tabench.runs.executor import CellEvent, Job, Listener, Options, Outcome
from tabench.runs.launch import InlineExecutor
from tabench.runs.processes import wait
from tabench.runs.retrying import ProcessDiedError, record_death
from tabench.store.claim import Holder
from tabench.store.folders import CellFolder


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "PAUSES", (0.0, 0.0))


@pytest.fixture
def jobs() -> list[Job]:
    cells = [make_cell("frozen").model_copy(update={"seed": seed}) for seed in range(3)]
    return [Job("x", cell, f"s{cell.seed}", Path("data"), Path("weights")) for cell in cells]


def scripted(monkeypatch: pytest.MonkeyPatch, script: dict[int, list[tuple[str, str]]]) -> list[int]:
    """Replace a cell's run by a script: seed to (state, kind) of each try; returns the seeds as they ran."""
    ran: list[int] = []

    def run(job: Job, options: Options, listener: Listener, should_stop: Callable[[], bool]) -> Outcome:
        seed = job.cell.seed
        state, kind = script.get(seed, [("done", "")])[ran.count(seed)]
        ran.append(seed)
        return Outcome(job, state, kind, f"try {ran.count(seed)}")  # type: ignore[arg-type]

    monkeypatch.setattr("tabench.runs.cell_run.run_cell", run)
    return ran


def run(jobs: list[Job], results: Path, **how: Any) -> tuple[list[Outcome], list[CellEvent]]:
    told: list[CellEvent] = []
    return InlineExecutor().run(jobs, Options(results=results, **how), told.append), told


def test_a_passing_trouble_is_tried_again_and_journalled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: list[Job]
) -> None:
    trouble = ("failed", "infrastructure")
    ran = scripted(monkeypatch, {0: [trouble, trouble, ("done", "")], 2: [trouble] * 9})
    outcomes, told = run(jobs, tmp_path)
    assert ran == [0, 0, 0, 1, *[2] * (1 + retrying.RETRIES)]
    assert [outcome.state for outcome in outcomes] == ["done", "done", "failed"]
    assert [one.event.retry for one in told if isinstance(one.event, Retry)] == [1, 2] * 2
    journal = CellFolder(tmp_path, "x", jobs[0].cell.id).read_journal()
    assert [(e["event"], e["kind"], e["message"]) for e in journal] == [
        ("retry", "infrastructure", "try 1"),
        ("retry", "infrastructure", "try 2"),
    ]


@pytest.mark.parametrize("kind", sorted(set(FAILURE_KINDS) - set(RETRIED_KINDS)))
def test_what_would_fail_again_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: list[Job], kind: str
) -> None:
    ran = scripted(monkeypatch, {0: [("failed", kind)] * 9})
    outcomes, told = run(jobs, tmp_path)
    assert (ran, told) == ([0, 1, 2], [])
    assert [outcome.state for outcome in outcomes] == ["failed", "done", "done"]


def test_a_run_may_stop_at_the_first_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: list[Job]
) -> None:
    ran = scripted(monkeypatch, {1: [("failed", "diverged")]})
    outcomes, _ = run(jobs, tmp_path, on_error="stop")
    assert ran == [0, 1]
    assert [outcome.state for outcome in outcomes] == ["done", "failed"]


def test_a_person_who_interrupts_is_obeyed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: list[Job]
) -> None:
    ran = scripted(monkeypatch, {0: [("interrupted", "")] * 9})
    assert len(run(jobs, tmp_path)[0]) == 1
    assert ran == [0]


def test_others_may_stop_the_processes_of_a_shared_cell_and_it_is_tried_again(
    tmp_path: Path, jobs: list[Job], monkeypatch: pytest.MonkeyPatch
) -> None:
    states = iter(["interrupted", "done"])

    def shared(job: Job, options: Options, listener: Listener, should_stop: Callable[[], bool]) -> Outcome:
        return Outcome(job, next(states))  # type: ignore[arg-type]

    monkeypatch.setattr("tabench.runs.local.torchrun.run_in_torchrun", shared)
    outcomes, told = run(jobs[:1], tmp_path, processes=2)
    assert [outcome.state for outcome in outcomes] == ["done"]
    assert [one.event.kind for one in told if isinstance(one.event, Retry)] == ["interrupted"]


def test_waiting_ends_when_a_stop_is_asked_for() -> None:
    looks = iter([False, True])
    assert not wait(1e9, lambda: next(looks))
    assert wait(0, lambda: False)


# what is kept of a cell whose process died once too often

DIED = ProcessDiedError("its process died (SIGKILL)")


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    found = CellFolder(tmp_path, "nyuv2", make_cell("frozen").id)
    found.journal("start", attempt=1)
    return found


def recorded(folder: CellFolder) -> Outcome:
    job = Job("nyuv2", make_cell("frozen"), "frozen s0", Path("data"), Path("weights"))
    return record_death(folder.root, job, DIED, lambda told: None)


@pytest.mark.parametrize("state", ["failed", "done", "busy"])
def test_a_death_is_recorded_unless_the_cell_is_done_or_another_process_has_taken_it(
    folder: CellFolder, state: str
) -> None:
    if state == "done":
        folder.record.write_text("{}")
    if state == "busy":
        elsewhere = replace(Holder.this(), host="elsewhere.invalid").to_json()
        folder.claim.write_text(json.dumps(elsewhere))
    outcome = recorded(folder)
    assert (outcome.state, "elsewhere.invalid" in outcome.message) == (state, state == "busy")
    assert folder.read_failure().get("attempt") == (1 if state == "failed" else None)
    told = [event["event"] for event in folder.read_journal()]
    assert told == ["start", *({"failed", "done"} & {state})]
    assert folder.claim.exists() == (state == "busy")


def test_a_process_ends_with_its_parent_where_the_system_does_not_see_to_it() -> None:
    """The first process starts a second, which is as on macOS, and dies; the second lets go of its pipe."""
    child = (
        "import os, sys, time; from tabench.runs import processes; sys.platform = 'darwin'; "
        "processes.PARENT_SECONDS = 0.01; processes.die_with(os.getppid()); print('up', flush=True); "
        "time.sleep(600)"
    )
    code = (
        "import os, subprocess, sys; "
        f"child = subprocess.Popen([sys.executable, '-c', {child!r}], stdout=subprocess.PIPE); "
        "child.stdout.readline(); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.PIPE, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr) == (0, b"")  # read to its end, which both processes hold
