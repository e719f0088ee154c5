"""A matrix on a real Slurm (`nox -s slurm`): a node dies, a job is requeued, and no record differs."""

from __future__ import annotations

from pathlib import Path

import pytest
from commands import start
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
    records,
    restarts,
    run_inline,
    show,
    there,
    until,
    words,
)

from tabench.runs.slurm.queue import command
from tabench.runs.slurm.submit import array_size

ASKED = ("frozen,lora-hps", 15, "--set=axes.seeds=[0,1,2]")
CELLS = 6
pytestmark = [*MARKS, pytest.mark.usefixtures("cluster_place")]


@pytest.fixture(scope="module")
def inline(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return run_inline(tmp_path_factory.mktemp("inline"), *words("inline", *ASKED))


def running() -> list[str]:
    return [cell for cell, one in there().items() if one.state == "RUNNING"]


def test_a_node_dies_and_comes_back_while_a_job_is_requeued(inline: dict[str, bytes]) -> None:
    assert len(inline) == CELLS
    process = start("run", *words("slurm", *ASKED), *on_slurm(), "--json")
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

    assert records(Path("slurm")) == inline
    done = {cell: count(cell, "done") for cell in inline}
    assert done == dict.fromkeys(inline, 1)
    attempts = {cell: count(cell, "start") for cell in inline}
    assert attempts == {cell: 2 if cell in (requeued, orphaned) else 1 for cell in inline}
    for cell in (requeued, orphaned):
        assert [0 < step < EPOCH for step in facts(cell)["resumed_from_step"]] == [True]
    assert [line["message"] for line in journal(orphaned) if line["event"] == "retry"] == [
        "its node or its process died"
    ]
    assert count(requeued, "retry") == 0
    again = {cell: restarts(element) for cell, element in elements.items()}
    show(
        f"cells {len(inline)}, arrays {len(arrays)}, records equal to the inline run's {len(inline)}, "
        f"'done' in a journal once each; requeued by scontrol 1, node failures 1, "
        f"restarts by Slurm {sum(again.values())}, "
        f"attempts {sorted(attempts.values(), reverse=True)}, "
        f"resumed from steps {[facts(cell)['resumed_from_step'] for cell in (requeued, orphaned)]}, "
        f"retries {sum(count(cell, 'retry') for cell in inline)}"
    )
    assert not list(QUEUE.rglob("*.pkl"))
