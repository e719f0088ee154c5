"""A metric or a picture that fails after training costs its evaluation, not the training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_run import make_cell, write_scenes, write_weights

from tabench.errors import DataError
from tabench.runs.cell_run import run_cell
from tabench.runs.executor import Event, Job, Options, Outcome
from tabench.spec.cell import Cell
from tabench.store.index import read_index
from tabench.store.layout import CellFolder
from tabench.tasks.base import Task
from tabench.tasks.depth import Depth
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
