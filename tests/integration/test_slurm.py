"""Cells on a real Slurm of two nodes (`nox -s slurm`): killed anywhere, the records of an inline run."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import call, call_json, events, records, start
from slurm_cluster import (
    EPOCH,
    MARKS,
    QUEUE,
    bring_back,
    count,
    end_of,
    facts,
    hold,
    kill_node,
    node_state,
    on_slurm,
    run_inline,
    running_cell,
    there,
    until,
    words,
)

from tabench.runs.slurm.queue import command

pytestmark = [*MARKS, pytest.mark.usefixtures("cluster_place")]
THREE = ("frozen,lora-hps,lora-stl", 2)
ONE = ("frozen", 23)
RESULTS = Path("slurm")


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return run_inline(tmp_path_factory.mktemp("inline"), *words("inline", *ONE))


def test_an_array_of_cells_ends_in_the_records_of_an_inline_run(
    capsys: pytest.CaptureFixture[str],
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process = start("run", *words("slurm", *THREE), *on_slurm("cpus=1"), "--json")
    until(lambda: len(there()) == 3, process)
    here = Path.cwd()
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    code, status = call_json(capsys, "status", "nyuv2", f"--results={here / 'slurm'}")
    monkeypatch.chdir(here)
    assert code == 0
    queue = [row["slurm"] for row in status["cells"] if row["state"] in ("queued", "running")]
    assert len(queue) == 3  # on two nodes of one core
    assert "PENDING" in {one["state"] for one in queue}
    assert all(one["why"] for one in queue)
    code, output = end_of(process)
    assert code == 0, output
    assert records(RESULTS) == run_inline(tmp_path_factory.mktemp("inline"), *words("inline", *THREE))
    assert not list(QUEUE.rglob("*.pkl"))
    assert call("run", *words("slurm", *THREE), *on_slurm()) == 0  # nothing is submitted again
    assert len(list(QUEUE.glob("slurm/*/submitted.json"))) == 1


def test_a_cell_requeued_in_the_middle_of_an_epoch_and_then_left_by_a_dead_node(
    inline: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("run", *words("slurm", *ONE), *on_slurm())
    cell = running_cell(process)
    element = there()[cell].element
    command(["scancel", "--signal=USR2", element])  # what comes before a time-out
    command(["scancel", "--signal=CONT", element])
    until(lambda: count(cell, "resume") == 1, process)
    hold(cell, 2, process)
    command(["scontrol", "requeue", element])  # what an operator does
    until(lambda: count(cell, "interrupted") == 2, process)
    until(lambda: count(cell, "resume") == 2, process)
    process.kill()  # who submitted is gone; the cell is not
    process.communicate()

    hold(cell, 2)
    node = there()[cell].why
    kill_node(node, cell, element)
    until(lambda: node_state(node).startswith("down"))
    until(lambda: count(cell, "resume") == 3)  # on the other node
    assert there()[cell].why != node
    bring_back(node)
    code, status = call_json(capsys, "status", "nyuv2", "--results=slurm")
    assert code == 0
    (row,) = [row for row in status["cells"] if row["id"] == cell]
    assert row["state"] in ("running", "done")

    assert call("watch", "nyuv2", "--results=slurm", "--every=0.5") == 0
    assert records(RESULTS) == inline
    assert facts(cell)["attempts"] == 4
    assert 0 < facts(cell)["resumed_from_step"][0] < EPOCH
    assert count(cell, "retry") == 1  # the node's death
    until(lambda: node_state(node) == "idle")


def test_a_cancelled_cell_keeps_its_checkpoint_and_runs_on_when_asked_again(
    inline: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("run", *words("slurm", *ONE), *on_slurm())
    cell = running_cell(process)
    code, told = call_json(capsys, "cancel", "nyuv2", "--results=slurm")
    assert code == 0
    assert {name: one["state"] for name, one in told["cancelled"].items()} == {cell: "RUNNING"}
    code, output = end_of(process)
    assert code == 130, output
    _, status = call_json(capsys, "status", "nyuv2", "--results=slurm")
    assert status["counts"]["partial"] == 1
    assert there() == {}

    assert call("run", *words("slurm", *ONE), *on_slurm()) == 0
    assert count(cell, "resume") == 1
    assert records(RESULTS) == inline


def test_a_cell_that_needs_longer_than_the_limit_is_queued_again_by_itself() -> None:
    long = (*words("slurm", "frozen", 48000), "--set=train.epochs=4000")
    process = start("run", *long, "--executor=slurm", "--slurm=time=1", "--slurm=notice_seconds=20")
    until(lambda: events(RESULTS, "interrupted") == 1, process)
    until(lambda: [one.state for one in there().values()] == ["PENDING"], process)
    assert call("cancel", "nyuv2", "--results=slurm") == 0
    code, output = end_of(process)
    assert code == 130, output
    assert events(RESULTS, "start") == 1
    assert events(RESULTS, "retry") == 0


@pytest.mark.parametrize("word", ["partition=none", "constraint=a100", "gpus=1", "extra={colour=3}"])
def test_what_slurm_refuses_is_said(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("run", *words("slurm", "frozen", 2), *on_slurm(word)) == 2
    error = capsys.readouterr().err
    assert "nothing was submitted" in error
    assert "--slurm KEY=VALUE" in error
