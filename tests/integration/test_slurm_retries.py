"""Elements that are killed or preempted on a real Slurm (`nox -s slurm`): tried again, counted, and said."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from commands import call, call_json, records, start
from slurm_cluster import (
    EPOCH,
    MARKS,
    QUEUE,
    count,
    end_of,
    facts,
    hold,
    holder,
    job_number,
    journal,
    on_slurm,
    processes,
    restarts,
    run_inline,
    running_cell,
    show,
    there,
    until,
    words,
)

from tabench.runs.slurm.queue import command
from tabench.store.encoding import read_json

STEPS = 15
ASKED = ("frozen", STEPS)
pytestmark = [*MARKS, pytest.mark.usefixtures("cluster_place")]


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return run_inline(tmp_path_factory.mktemp("inline"), *words("inline", *ASKED))


def submitted() -> int:
    return len(list(QUEUE.glob("slurm/*/submitted.json")))


def kill_task(cell: str) -> None:
    pid = holder(cell)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


def kill_with_its_script(cell: str) -> None:
    """End a task and the batch script above it: nobody on the node can say what happened."""
    number = job_number(there()[cell].element)
    scripts = [pid for pid in processes("/bin/bash ") if f"/job{int(number):05d}/" in _line(pid)]
    assert len(scripts) == 1
    os.kill(scripts[0], signal.SIGKILL)
    kill_task(cell)


def _line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def row_of(cell: str, capsys: pytest.CaptureFixture[str]) -> dict[str, str]:
    _, status = call_json(capsys, "status", "nyuv2", "--results=slurm")
    (row,) = [row for row in status["cells"] if row["id"] == cell]
    return dict(row)


def test_a_killed_process_is_tried_again_until_the_limit_and_then_a_failure(
    inline: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("run", *words("slurm", *ASKED), *on_slurm("retries=1"))
    cell = running_cell(process)
    node = there()[cell].why
    kill_task(cell)
    until(lambda: count(cell, "retry") == 1, process)
    until(lambda: cell in there() and there()[cell].state == "PENDING", process)
    (retry,) = [line for line in journal(cell) if line["event"] == "retry"]
    assert (retry["kind"], retry["retry"], retry["of"]) == ("infrastructure", 1, 1)
    assert f"its process on {node} was killed (SIGKILL" in retry["message"]
    row = row_of(cell, capsys)
    assert (row["state"], "PENDING" in row["detail"]) == ("queued", True)

    until(lambda: count(cell, "resume") == 1, process)
    hold(cell, 2, process)
    kill_task(cell)
    code, output = end_of(process)
    assert code == 1, output
    failure = read_json(QUEUE / cell / "failure.json")
    assert (failure["kind"], failure["attempt"]) == ("infrastructure", 2)
    assert failure["message"].endswith("tried 2 times")
    row = row_of(cell, capsys)
    assert row["state"] == "failed"
    assert failure["message"] in row["detail"]
    until(lambda: not there())
    show(f"killed twice with retries=1: {row['detail']}")

    assert call("run", *words("slurm", *ASKED), *on_slurm("retries=1")) == 0  # a person's word counts anew
    assert records(Path("slurm")) == inline
    assert facts(cell)["attempts"] == 3
    assert submitted() == 2


def test_an_element_that_left_the_queue_without_a_word_is_told_and_submitted_again(
    inline: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("run", *words("slurm", *ASKED), *on_slurm())
    cell = running_cell(process)
    kill_with_its_script(cell)
    until(lambda: count(cell, "retry") == 1, process)  # by who follows it: Slurm has given the job up
    assert "ended without a word" in journal(cell)[-1]["message"]
    until(lambda: count(cell, "resume") == 1, process)
    assert submitted() == 2
    hold(cell, 2, process)
    process.kill()  # nobody follows it any more
    process.communicate()
    kill_with_its_script(cell)
    until(lambda: not there())
    row = row_of(cell, capsys)
    assert row["state"] == "partial"
    assert "has ended without a word" in row["detail"]
    show(f"killed with its script, nobody following: {row['state']} {row['detail']}")
    assert call("watch", "nyuv2", "--results=slurm", "--every=0.2") == 0  # nothing more is expected

    assert call("run", *words("slurm", *ASKED), *on_slurm()) == 0
    assert records(Path("slurm")) == inline
    assert [retry["kind"] for retry in facts(cell)["retries"]] == ["infrastructure"]
    assert facts(cell)["attempts"] == 3
    assert submitted() == 3


@pytest.fixture
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


@pytest.mark.usefixtures("_preempts")
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


@pytest.mark.usefixtures("_preempts")
def test_a_cell_that_preemption_cancels_is_interrupted_and_the_next_run_takes_it_up(
    inline: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    process = start("run", *words("slurm", *ASKED), *on_slurm("partition=doomed"), "--json")
    cell = running_cell(process)
    take_its_node(cell)
    code, output = end_of(process)
    assert code == 130, output
    assert "ended by Slurm (PREEMPTED); the same command goes on from its checkpoint" in output
    row = row_of(cell, capsys)
    assert row["state"] == "partial"
    assert "interrupted; Slurm" in row["detail"]
    assert call("run", *words("slurm", *ASKED), *on_slurm()) == 0
    assert records(Path("slurm")) == inline
    assert [0 < step < EPOCH for step in facts(cell)["resumed_from_step"]] == [True]
