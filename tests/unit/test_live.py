from __future__ import annotations

import io
from functools import partial
from pathlib import Path

from rich.console import Console
from tiny_run import make_cell

from tabench.events import Done, Failed, Retry, Start, Step, Warned
from tabench.runs.executor import CellEvent, Job
from tabench.runs.live import MANY, View, view_of
from tabench.spec.cell import Cell

STEP = Step(unit="depth", epoch=1, epochs=2, step=3, steps=8, loss=0.5, seconds_left=100.0)


def _job() -> Job:
    cell = make_cell("lora-stl")
    return Job("x", cell, cell.label, Path("data"), Path("weights"))


def test_of_very_many_cells_those_that_run_are_shown() -> None:
    jobs = [Job("x", cell, f"cell {cell.seed}", Path("d"), Path("w")) for cell in map(_seeded, range(500))]
    view = View(jobs, Console(file=io.StringIO(), force_terminal=True))
    view(CellEvent(jobs[400].cell.id, STEP))
    view(CellEvent(jobs[3].cell.id, Done(wall_s=61.0)))
    view(CellEvent(jobs[450].cell.id, Failed(kind="data", message="m")))
    screen = Console(file=io.StringIO(), width=100)
    screen.print(view.table())
    lines = screen.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert len(lines) == 1 + MANY + 1
    assert lines[1].startswith("cell 400 ")
    assert lines[2].startswith("cell 450 ")
    assert lines[-1].strip() == "1 running, 1 failed, 497 waiting, 1 done"


def _seeded(seed: int) -> Cell:
    return make_cell("lora-stl").model_copy(update={"seed": seed})


def test_a_log_gets_lines() -> None:
    job, stream = _job(), io.StringIO()
    with view_of([job], Console(file=stream)) as view:
        again = partial(Retry, kind="infrastructure", message="m", of=2)
        retries = again(retry=1, pause_s=10.0), again(retry=2, pause_s=0.0)
        for event in (Start(attempt=1, label="m"), STEP, STEP, *retries, Done(wall_s=61.0)):
            view(CellEvent(job.cell.id, event))
    assert stream.getvalue().splitlines() == [
        "[1/1] lora-stl s0: starts",
        "[1/1] lora-stl s0: depth: epoch 1/2 step 3/8 loss 0.5000, 1 min 40 s left",
        "[1/1] lora-stl s0: again in 10 s (infrastructure), retry 1 of 2",
        "[1/1] lora-stl s0: again when its turn in the queue comes (infrastructure), retry 2 of 2",
        "[1/1] lora-stl s0: done, took 1 min 1 s",
    ]


def test_a_terminal_gets_a_table() -> None:
    job, stream = _job(), io.StringIO()
    console = Console(file=stream, force_terminal=True, width=100)
    with view_of([job], console) as view:
        assert isinstance(view, View)
        view(CellEvent(job.cell.id, STEP))
        view(CellEvent(job.cell.id, Failed(kind="diverged", message="m")))
    assert "lora-stl s0" in stream.getvalue()
    assert view.rows[job.cell.id] == ("lora-stl s0", "failed", "failed (diverged): m")


def test_a_warning_is_shown_once_and_not_once_a_cell() -> None:
    jobs = [Job("x", cell, f"cell {cell.seed}", Path("d"), Path("w")) for cell in map(_seeded, range(2))]
    for terminal in (False, True):
        console = Console(file=io.StringIO(), force_terminal=terminal, width=60)
        shown = View(jobs, console)
        for job in jobs:
            message = "train: depth up to 80, published is 10\x1b[2J"
            shown(CellEvent(job.cell.id, Warned(message=message)))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert text.count("warning: train: depth up to 80, published is 10") == 1
        assert "\x1b[2J" not in text
