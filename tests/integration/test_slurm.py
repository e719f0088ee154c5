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
    journal,
    kill_node,
    node_state,
    on_slurm,
    restarts,
    run_inline,
    running_cell,
    show,
    there,
    until,
    words,
)

from tabench.runs.slurm.queue import command
from tabench.runs.slurm.submit import array_size

pytestmark = [*MARKS, pytest.mark.usefixtures("cluster_place")]
THREE = ("frozen,lora-hps,lora-stl", 2)
ONE = ("frozen", 23)
MATRIX = ("frozen,lora-hps", 15, "--set=axes.seeds=[0,1,2]")
CELLS = 6
RESULTS = Path("slurm")


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return run_inline(tmp_path_factory.mktemp("inline"), *words("inline", *ONE))


@pytest.fixture(scope="module")
def inline_matrix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return run_inline(tmp_path_factory.mktemp("inline"), *words("inline", *MATRIX))


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


def test_a_wrong_slurm_conf_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SLURM_CONF", "/nowhere/slurm.conf")
    assert call("run", *words("slurm", "frozen", 2), *on_slurm()) == 2
    assert "SLURM_CONF=/nowhere/slurm.conf: there is no such file" in capsys.readouterr().err


def running() -> list[str]:
    return [cell for cell, one in there().items() if one.state == "RUNNING"]


def test_a_node_dies_and_comes_back_while_a_job_is_requeued(inline_matrix: dict[str, bytes]) -> None:
    assert len(inline_matrix) == CELLS
    process = start("run", *words("slurm", *MATRIX), *on_slurm(), "--json")
    until(lambda: len(running()) == 2, process)
    requeued, orphaned = running()
    elements = {cell: one.element for cell, one in there().items()}
    arrays = {element.partition("_")[0] for element in elements.values()}
    assert len(elements) == CELLS
    assert len(arrays) == -(-CELLS // array_size())
    for cell in (requeued, orphaned):
        hold(cell, 3, process)  # in the middle of their first epoch

    node = there()[orphaned].why
    command(["scontrol", "requeue", elements[requeued]])
    kill_node(node, orphaned, elements[orphaned])
    until(lambda: count(requeued, "interrupted") == 1, process)
    until(lambda: node_state(node).startswith("down"), process)
    bring_back(node)
    code, output = end_of(process)
    assert code == 0, output
    until(lambda: node_state(node) in ("idle", "mixed", "allocated"))

    assert records(RESULTS) == inline_matrix
    done = {cell: count(cell, "done") for cell in inline_matrix}
    assert done == dict.fromkeys(inline_matrix, 1)
    attempts = {cell: count(cell, "start") for cell in inline_matrix}
    assert attempts == {cell: 2 if cell in (requeued, orphaned) else 1 for cell in inline_matrix}
    for cell in (requeued, orphaned):
        assert [0 < step < EPOCH for step in facts(cell)["resumed_from_step"]] == [True]
    assert [line["message"] for line in journal(orphaned) if line["event"] == "retry"] == [
        "its node or its process died"
    ]
    assert count(requeued, "retry") == 0
    again = {cell: restarts(element) for cell, element in elements.items()}
    show(
        f"cells {CELLS}, arrays {len(arrays)}, records equal to the inline run's {CELLS}, "
        f"'done' in a journal once each; requeued by scontrol 1, node failures 1, "
        f"restarts by Slurm {sum(again.values())}, "
        f"attempts {sorted(attempts.values(), reverse=True)}, "
        f"resumed from steps {[facts(cell)['resumed_from_step'] for cell in (requeued, orphaned)]}, "
        f"retries {sum(count(cell, 'retry') for cell in inline_matrix)}"
    )
    assert not list(QUEUE.rglob("*.pkl"))
