"""Cells side by side: the same records as one after the other, whatever dies on the way."""

from __future__ import annotations

import json
import os
import signal
import threading
from pathlib import Path

import pretending
import pytest
from commands import all_gone, call, events, options, records, start, wait_for
from patience import output_of, until
from tiny_run import make_cell

from tabench.runs import retrying
from tabench.runs.executor import CellEvent, Job, Options
from tabench.runs.local import pool
from tabench.runs.local.pool import worker_environments, worthwhile
from tabench.runs.retrying import RETRIES
from tabench.store.folders import CellFolder

METHODS = "--select=method=lora-hps,lora-stl,frozen"


pytestmark = pytest.mark.usefixtures("place")


def words(results: str) -> list[str]:
    return options(results, METHODS, "--set=train.max_steps=12", "--threads=1", "--checkpoint-every=0")


def children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(word) for word in text.split()]


def cell_processes(pid: int) -> list[int]:
    """The pool's own processes (multiprocessing has others, for its resources)."""
    return [c for c in children(pid) if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]


@pytest.mark.long
def test_a_pool_that_is_killed_in_every_way_ends_in_the_records_of_an_inline_run() -> None:
    assert call("run", *words("inline"), "--executor=inline") == 0
    how = ["run", *words("pool"), "--executor=pool", "--workers=2"]

    process = start(*how)
    wait_for(process, Path("pool"), "checkpoint")
    for victim in cell_processes(process.pid):  # the one with a checkpoint among them: its cell resumes
        os.kill(victim, signal.SIGKILL)
    wait_for(process, Path("pool"), "resume")
    workers = cell_processes(process.pid)
    process.kill()  # the parent: nothing of it may go on unseen
    process.communicate()
    all_gone(workers)

    resumed = events(Path("pool"), "resume")
    process = start(*how)
    wait_for(process, Path("pool"), "resume", resumed + 1)
    process.send_signal(signal.SIGTERM)
    output = output_of(process)
    assert process.returncode in (0, 130), output

    assert call(*how) == 0
    assert len(records("pool")) == 3
    assert records("pool") == records("inline")


@pytest.mark.slow
def test_a_process_that_is_killed_or_stopped_by_others_does_not_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(retrying, "PAUSES", (0.0, 0.0))

    def others() -> None:
        for event, ending in (("checkpoint", signal.SIGKILL), ("resume", signal.SIGTERM)):
            until(lambda event=event: events(Path("pool"), event), f"'{event}'")
            os.kill(cell_processes(os.getpid())[0], ending)

    asked = options("pool", "--select=method=lora-hps,frozen", "--set=train.max_steps=12", "--threads=1")
    disturbing = threading.Thread(target=others)
    disturbing.start()
    assert call("run", *asked, "--checkpoint-every=0", "--executor=pool", "--workers=1") == 0
    disturbing.join()
    assert len(records("pool")) == 2
    runs = [json.loads(path.read_text()) for path in Path("pool").glob("nyuv2/*/run.json")]
    kinds = [retry["kind"] for run in runs for retry in run.get("retries", [])]
    assert kinds == ["infrastructure", "interrupted"]
    assert events(Path("pool"), "resume") == 2


def test_a_cell_whose_process_dies_again_and_again_fails_alone(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pool, "_work", pretending.work)
    monkeypatch.setattr(retrying, "PAUSES", (0.0, 0.0))
    cells = [make_cell("frozen").model_copy(update={"seed": seed}) for seed in range(3)]
    jobs = [Job("nyuv2", cell, cell.label, place, place) for cell in cells]
    folder = CellFolder(place, "nyuv2", cells[0].id)

    def begun() -> list[int]:
        return [event["pid"] for event in folder.read_journal() if event["event"] == "start"]

    def kill_it() -> None:
        for times in range(1, RETRIES + 2):
            until(lambda times=times: len(begun()) == times, f"try {times}")
            os.kill(begun()[-1], signal.SIGKILL)

    told: list[CellEvent] = []
    killer = threading.Thread(target=kill_it)
    killer.start()
    outcomes = pool.PoolExecutor().run(jobs, Options(results=place, device="cpu", workers=1), told.append)
    killer.join()
    assert [(outcome.state, outcome.kind) for outcome in outcomes] == [
        ("failed", "infrastructure"),
        ("done", ""),
        ("done", ""),
    ]
    failure = folder.read_failure()
    assert failure["kind"] == "infrastructure"
    assert "SIGKILL" in failure["message"]
    assert failure["attempt"] == RETRIES + 1
    assert [event.event.name for event in told] == ["retry"] * RETRIES + ["failed"]
    assert not folder.claim.exists()


def test_processes_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabench.runs.local.pool.usable_cores", lambda: 8)
    place = Options(results=Path("results"), device="cpu")

    def threads(how: Options, jobs: int) -> list[str]:
        return [environment["OMP_NUM_THREADS"] for environment in worker_environments(how, jobs)]

    assert threads(place, 3) == ["2"] * 3
    assert threads(place, 20) == ["1"] * 8
    assert threads(Options(results=Path("results"), device="cpu", workers=2, threads=3), 20) == ["3"] * 2


def test_small_models_go_side_by_side_and_large_ones_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabench.runs.local.pool.usable_cores", lambda: 2)
    small = make_cell("frozen")
    large = small.model_copy(update={"backbone": small.backbone.model_copy(update={"name": "vit_b"})})
    jobs = [Job("x", cell, cell.label, Path("data"), Path("weights")) for cell in (small, large)]
    place = Options(results=Path("results"), device="cpu")
    assert worthwhile([jobs[0]] * 2, place)
    assert not worthwhile([jobs[0]], place)
    assert not worthwhile(jobs, place)
