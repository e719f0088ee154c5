"""A metric or a picture that fails after training costs its evaluation, not the training."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_run import make_cell, write_scenes, write_weights

from tabench.errors import DataError
from tabench.runs.cell_run import run_cell
from tabench.runs.executor import Event, Job, Options, Outcome
from tabench.spec.cell import Cell
from tabench.store.folders import CellFolder
from tabench.store.index import read_index
from tabench.tasks.base import Task
from tabench.tasks.distance import Depth
from tabench.tasks.segmentation import Segmentation


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    home = tmp_path_factory.mktemp("inputs")
    write_weights(home / "nano.safetensors")
    return write_scenes(home / "scenes"), home / "nano.safetensors"


def run(cell: Cell, inputs: tuple[Path, Path], results: Path) -> tuple[Outcome, list[Event]]:
    events: list[Event] = []
    job = Job("nyuv2", cell, cell.label, *inputs)
    outcome = run_cell(job, Options(results, "cpu", threads=1), events.append, lambda: False)
    return outcome, events


def steps(events: list[Event]) -> int:
    return sum(event.kind == "step" for event in events)


def once(function: Callable[..., Any], error: Exception) -> Callable[..., Any]:
    """A function whose first call raises."""
    pending = [error]

    def wrapped(*arguments: Any, **options: Any) -> Any:
        if pending:
            raise pending.pop()
        return function(*arguments, **options)

    return wrapped


@pytest.mark.parametrize(
    ("method", "task", "name", "error", "kind", "says"),
    [
        ("ta-lora", Depth, "evaluation", ValueError("bad\nmetric"), "unexpected",
         "trained; evaluation failed: ValueError: bad metric; run again to evaluate only"),
        ("ta-lora", Segmentation, "colour_prediction", DataError("no colour", where="val/0", hint="add it"),
         "data",
         "trained; evaluation failed: val/0: no colour; run again to evaluate only\n  -> add it"),
        ("lora-stl", Depth, "evaluation", ValueError("bad"), "unexpected",
         "depth trained; evaluation failed: ValueError: bad; run again to evaluate depth only and go on"),
    ],
    ids=["metric", "picture", "one-of-three-models"],
)  # fmt: skip
def test_a_failed_evaluation_is_repeated_without_training(
    method: str, task: type[Task], name: str, error: Exception, kind: str, says: str,
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    cell = make_cell(method, train__max_steps=2)
    whole, events = run(cell, inputs, tmp_path / "whole")
    assert whole.state == "done"
    trained = steps(events)

    monkeypatch.setattr(task, name, once(getattr(task, name), error))
    failed, before = run(cell, inputs, tmp_path / "broken")
    assert (failed.state, failed.kind, failed.message) == ("failed", kind, says)
    folder = CellFolder(tmp_path / "broken", "nyuv2", cell.id)
    known = read_index(tmp_path / "broken", "nyuv2").cells[cell.id]
    assert (known.state, known.kind, known.message) == ("failed", kind, says)
    assert type(error).__name__ in folder.read_failure()["traceback"]

    done, after = run(cell, inputs, tmp_path / "broken")
    assert done.state == "done"
    assert steps(before) + steps(after) == trained, "a step was trained twice"
    if method == "ta-lora":
        assert steps(after) == 0
    assert folder.state() == "done"
    assert not folder.failure.exists()
    reference = CellFolder(tmp_path / "whole", "nyuv2", cell.id).record
    assert folder.record.read_bytes() == reference.read_bytes()


def test_a_loss_that_fails_in_training_is_not_called_trained(
    inputs: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Depth, "loss", once(Depth.loss, ValueError("bad loss")))
    failed, _ = run(make_cell("ta-lora", train__max_steps=2), inputs, tmp_path)
    assert (failed.state, failed.message) == ("failed", "bad loss")


KILLED = """
import os, signal, sys
from pathlib import Path
from tiny_run import make_cell
from tabench.runs import cell_run
from tabench.runs.executor import Job, Options

method, point, scenes, weights, results = sys.argv[1:]
cell = make_cell(method, train__max_steps=2)

def die(*arguments):
    os.kill(os.getpid(), signal.SIGKILL)

def hear(event):
    finished = event.kind == "checkpoint" and event.facts.get("finished")
    if event.facts.get("unit") in ("all", "normals") and point == ("trained" if finished else event.kind):
        die()

if point == "sums":
    cell_run.write_bytes = die  # the record
if point == "record":
    cell_run.tidy = die
job = Job("nyuv2", cell, cell.label, Path(scenes), Path(weights))
cell_run.run_cell(job, Options(Path(results), "cpu", threads=1), hear, lambda: False)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "point"),
    [
        ("lora-stl", "trained"),
        pytest.param("ta-lora", "final", marks=pytest.mark.long),
        pytest.param("lora-stl", "cost", marks=pytest.mark.long),
        pytest.param("ta-lora", "sums", marks=pytest.mark.long),
        ("ta-lora", "record"),
    ],
)
def test_a_kill_after_training_costs_the_evaluation_alone(
    method: str, point: str, inputs: tuple[Path, Path], tmp_path: Path
) -> None:
    words = [method, point, *map(str, inputs), str(tmp_path / "killed")]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, *words], env={**os.environ, "PYTHONPATH": path}, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    cell = make_cell(method, train__max_steps=2)
    folder = CellFolder(tmp_path / "killed", "nyuv2", cell.id)
    assert folder.record.exists() == (point == "record")

    done, after = run(cell, inputs, tmp_path / "killed")
    assert (done.state, steps(after)) == ("done", 0)
    assert run(cell, inputs, tmp_path / "whole")[0].state == "done"
    whole = CellFolder(tmp_path / "whole", "nyuv2", cell.id)
    for name in ("record", "checksums"):
        assert getattr(folder, name).read_bytes() == getattr(whole, name).read_bytes()
    assert [event["event"] for event in folder.read_journal()].count("done") == 1
    assert {path.name for path in folder.path.iterdir()} == {path.name for path in whole.path.iterdir()}
