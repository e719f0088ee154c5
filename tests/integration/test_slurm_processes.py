"""A cell shared by two processes as one element of an array, on a real Slurm (`nox -s slurm`)."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import call, events, options, start, wait_for
from patience import output_of, until
from slurm_cluster import MARKS, there

from tabench.runs.slurm.queue import command

pytestmark = MARKS
PLACE = Path("shared/nyuv2")


@pytest.fixture(autouse=True)
def _calm_queue(place: Path) -> Iterator[None]:
    yield
    if there(PLACE):
        call("cancel", "nyuv2", "--results=shared")


def state() -> str:
    return next((queued.state for queued in there(PLACE).values()), "")


def test_processes_that_share_a_cell_stop_together_and_are_queued_again() -> None:
    how = ["--executor=slurm", "--slurm=time=10", "--slurm=notice_seconds=30", "--processes=2"]
    how += ["--device=cpu", "--threads=1", "--checkpoint-every=0"]
    cell = ("--select=method=ta-lora", "--set=train.max_steps=40", "--set=train.epochs=50")
    process = start("run", *options("shared", *cell, *how))
    for times, send in enumerate((("scancel", "--signal=USR2"), ("scontrol", "requeue")), 1):
        wait_for(process, Path("shared"), "checkpoint", events(Path("shared"), "checkpoint") + 2)
        (queued,) = there(PLACE).values()
        command([*send, queued.element])  # what comes before a time-out; what Slurm does when it preempts
        wait_for(process, Path("shared"), "interrupted", times)
        until(lambda: state() == "PENDING")
        time.sleep(3)  # a node takes a credential of the second in which a job was revoked for a revoked one
        command(["scontrol", "update", f"JobId={queued.element}", "StartTime=now"])
        wait_for(process, Path("shared"), "resume", times)
    output = output_of(process)
    assert process.returncode == 0, output
    (run,) = Path("shared").glob("nyuv2/*/run.json")
    facts = json.loads(run.read_text())
    assert (facts["processes"], facts["threads"], facts["attempts"]) == (2, 1, 3)
    assert facts["resumed_from_step"] == sorted(facts["resumed_from_step"])
    assert events(Path("shared"), "failed") == 0
