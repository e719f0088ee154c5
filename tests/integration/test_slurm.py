"""Cells on a real Slurm of two nodes (`nox -s slurm`): killed anywhere, the records of an inline run.

The nodes are daemons of this machine, so that killing one is killing its processes. SLURM_CONF and
TABENCH_SLURM_DIR come from the script that started them.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from commands import call, call_json, events, options, start, wait_for
from tiny_run import write_weights

from tabench.runs.slurm.queue import Queued, command, queued_cells

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.skipif("TABENCH_SLURM_DIR" not in os.environ, reason="no Slurm cluster: nox -s slurm"),
]
QUEUE = Path("slurm/nyuv2")
ON_SLURM = ("--executor=slurm", "--slurm=time=10", "--slurm=notice_seconds=30")


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    write_weights(tmp_path / "nano.safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TABENCH_DATA", raising=False)
    monkeypatch.delenv("TABENCH_CHECKPOINTS", raising=False)
    monkeypatch.setattr("tabench.runs.slurm.executor.ASK_SECONDS", 2.0)
    yield
    if QUEUE.is_dir() and queued_cells(QUEUE):
        call("cancel", "nyuv2", "--results=slurm")


def words(results: str, methods: str, steps: int) -> list[str]:
    chosen = (
        f"--select=method={methods}",
        f"--set=train.max_steps={steps}",
        "--threads=1",
        "--checkpoint-every=0",
    )
    return options(results, *chosen, "--set=train.epochs=50")


def records(results: str) -> dict[str, bytes]:
    return {path.parent.name: path.read_bytes() for path in Path(results).glob("nyuv2/*/record.json")}


def until(what: Callable[[], bool], seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


def only_cell() -> Queued:
    (queued,) = queued_cells(QUEUE).values()
    return queued


def job_number(element: str) -> str:
    """The number of an array's element: what it is known under on its node."""
    text = command(["scontrol", "show", "job", element])
    found = re.search(r"JobId=(\d+)", text)
    assert found is not None
    return found[1]


def begin_now(element: str) -> None:
    """Slurm lets a requeued job wait two minutes; an operator may lift that.

    Not at once: a node takes a credential of the second in which the job was revoked for a revoked one.
    """
    until(lambda: queued_cells(QUEUE) != {} and only_cell().state == "PENDING", 60)
    time.sleep(3)
    command(["scontrol", "update", f"JobId={element}", "StartTime=now"])


def claim_holder() -> int:
    (claim,) = Path("slurm").glob("nyuv2/*/claim.json")
    return int(json.loads(claim.read_text())["pid"])


def test_an_array_of_cells_ends_in_the_records_of_an_inline_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", *words("inline", "frozen,lora-hps", 2), "--executor=inline") == 0
    code, told = call_json(capsys, "run", *words("slurm", "frozen,lora-hps", 2), *ON_SLURM)
    assert code == 0
    assert [outcome["state"] for outcome in told["outcomes"]] == ["done", "done"]
    assert records("slurm") == records("inline")
    assert len(list(QUEUE.glob("slurm/*/submitted.json"))) == 1
    assert not list(QUEUE.rglob("*.pkl"))
    assert call("run", *words("slurm", "frozen,lora-hps", 2), *ON_SLURM) == 0  # nothing is submitted again
    assert len(list(QUEUE.glob("slurm/*/submitted.json"))) == 1


def test_a_cell_requeued_in_the_middle_of_an_epoch_and_then_left_by_a_dead_node(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = words("slurm", "lora-hps", 91)
    assert call("run", *words("inline", "lora-hps", 91), "--executor=inline") == 0
    process = start("run", *asked, *ON_SLURM)
    wait_for(process, Path("slurm"), "checkpoint", 3)
    element = only_cell().element
    command(["scancel", "--signal=USR2", element])  # what comes before a time-out
    wait_for(process, Path("slurm"), "interrupted")
    begin_now(element)
    wait_for(process, Path("slurm"), "resume")
    saved = events(Path("slurm"), "checkpoint")
    wait_for(process, Path("slurm"), "checkpoint", saved + 1)
    command(["scontrol", "requeue", element])  # what Slurm does to a job it preempts
    wait_for(process, Path("slurm"), "interrupted", 2)
    begin_now(element)
    wait_for(process, Path("slurm"), "resume", 2)
    process.kill()  # who submitted is gone; the cell is not
    process.communicate()

    saved = events(Path("slurm"), "checkpoint")
    until(lambda: events(Path("slurm"), "checkpoint") > saved)
    node = only_cell().why
    kill_node(node, job_number(element))
    until(lambda: node_state(node).startswith("down"), 90)
    begin_now(element)  # on the other node
    until(lambda: events(Path("slurm"), "resume") >= 3)
    assert only_cell().why != node
    bring_back(node)
    code, status = call_json(capsys, "status", "nyuv2", "--results=slurm")
    assert code == 0
    (row,) = [row for row in status["cells"] if row["state"] not in ("pending",)]
    assert row["state"] in ("running", "done")

    assert call("watch", "nyuv2", "--results=slurm", "--every=0.5") == 0
    assert records("slurm") == records("inline")
    (run,) = Path("slurm").glob("nyuv2/*/run.json")
    facts = json.loads(run.read_text())
    assert facts["attempts"] == 4
    until(lambda: node_state(node) == "idle")


def test_a_cancelled_cell_keeps_its_checkpoint_and_runs_on_when_asked_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = words("slurm", "frozen", 41)
    process = start("run", *asked, *ON_SLURM)
    wait_for(process, Path("slurm"), "checkpoint")
    code, told = call_json(capsys, "cancel", "nyuv2", "--results=slurm")
    assert code == 0
    assert [cell["state"] for cell in told["cancelled"].values()] == ["RUNNING"]
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 130, output.decode()
    code, status = call_json(capsys, "status", "nyuv2", "--results=slurm")
    assert status["counts"]["partial"] == 1
    assert not queued_cells(QUEUE)

    assert call("run", *asked, *ON_SLURM) == 0
    assert events(Path("slurm"), "resume") == 1
    assert call("run", *words("inline", "frozen", 41), "--executor=inline") == 0
    assert records("slurm") == records("inline")


def test_a_cell_that_needs_longer_than_the_limit_is_queued_again_by_itself() -> None:
    long = (*words("slurm", "frozen", 4000), "--set=train.epochs=4000")
    process = start("run", *long, "--executor=slurm", "--slurm=time=1", "--slurm=notice_seconds=20")
    wait_for(process, Path("slurm"), "interrupted")
    until(lambda: only_cell().state == "PENDING", 30)
    assert call("cancel", "nyuv2", "--results=slurm") == 0
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 130, output.decode()
    assert events(Path("slurm"), "start") == 1


def test_what_slurm_refuses_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", *words("slurm", "frozen", 2), "--executor=slurm", "--slurm=partition=none") == 2
    error = capsys.readouterr().err
    assert "nothing was submitted" in error
    assert "partition" in error


def kill_node(node: str, job: str) -> None:
    """End a node's daemon and all it runs, at once."""
    place = Path(os.environ["TABENCH_SLURM_DIR"])
    doomed = [int((place / f"slurmd-{node}.pid").read_text()), claim_holder()]
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if line.startswith(f"slurmstepd: [{job}."):
            doomed.append(int(folder.name))
    assert len(doomed) >= 3  # the daemon, the task, and at least one step's keeper
    for pid in doomed:
        os.kill(pid, signal.SIGKILL)


def bring_back(node: str) -> None:
    """Bring a node back."""
    subprocess.run(["slurmd", "-f", os.environ["SLURM_CONF"], "-N", node], check=True, timeout=30)


def node_state(node: str) -> str:
    return command(["sinfo", "-h", "-n", node, "-o", "%T"]).strip()
