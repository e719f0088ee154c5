"""Slurm preempts a cell in the middle of an epoch (`nox -s slurm`): checkpoint, queue, the same record."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import call, call_json, start
from slurm_cluster import (
    EPOCH,
    MARKS,
    count,
    end_of,
    facts,
    on_slurm,
    records,
    restarts,
    run_inline,
    running_cell,
    show,
    there,
    until,
    words,
)

from tabench.runs.slurm.queue import command

STEPS = 15
ASKED = ("frozen", STEPS)
pytestmark = [*MARKS, pytest.mark.usefixtures("cluster_place")]


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return run_inline(tmp_path_factory.mktemp("inline"), *words("inline", *ASKED))


@pytest.fixture(autouse=True)
def _preempts() -> None:
    if "preempt/partition_prio" not in command(["scontrol", "show", "config"]):
        pytest.skip(
            "this cluster preempts nothing (PreemptType); tests/slurm/start-cluster.sh makes one that does"
        )


def take_its_node(cell: str) -> str:
    """A job of the high partition wants the node that a cell runs on; its number."""
    node = there()[cell].why
    job = command(["sbatch", "--parsable", "-p", "high", "-w", node, "-o", "/dev/null", "--wrap", "sleep 3"])
    return job.strip()


@pytest.mark.parametrize("partition", ["low", "low-now"])
def test_a_preempted_cell_is_queued_again_and_goes_on_where_it_was(
    inline: dict[str, bytes], partition: str
) -> None:
    process = start("run", *words("slurm", *ASKED), *on_slurm(f"partition={partition}"))
    cell = running_cell(process)
    element = there()[cell].element
    take_its_node(cell)
    until(lambda: count(cell, "interrupted") == 1, process)  # it was told, and wrote a checkpoint
    until(lambda: there().get(cell) is not None and there()[cell].state == "PENDING", process)
    code, output = end_of(process)
    assert code == 0, output
    assert restarts(element) == 1
    assert records(Path("slurm")) == inline
    resumed = facts(cell)["resumed_from_step"]
    assert [0 < step < EPOCH for step in resumed] == [True]
    assert (facts(cell)["attempts"], count(cell, "retry")) == (2, 0)
    show(
        f"{partition}: resumed from step {resumed} of {STEPS}, {EPOCH} an epoch, restarts {restarts(element)}"
    )


def test_a_cell_that_preemption_cancels_is_interrupted_and_the_next_run_takes_it_up(
    inline: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("run", *words("slurm", *ASKED), *on_slurm("partition=doomed"), "--json")
    cell = running_cell(process)
    take_its_node(cell)
    code, output = end_of(process)
    assert code == 130, output
    assert "ended by Slurm (PREEMPTED); the same command goes on from its checkpoint" in output
    _, status = call_json(capsys, "status", "nyuv2", "--results=slurm")
    (row,) = [row for row in status["cells"] if row["id"] == cell]
    assert row["state"] == "partial"
    assert "interrupted; Slurm" in row["detail"]
    assert call("run", *words("slurm", *ASKED), *on_slurm()) == 0
    assert records(Path("slurm")) == inline
    assert [0 < step < EPOCH for step in facts(cell)["resumed_from_step"]] == [True]
