from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console
from tiny_run import make_cell

from tabench.runs.executor import Event, Job
from tabench.runs.live import MANY, LiveTable, PlainLines, view_of
from tabench.spec.cell import Cell

STEP = {
    "unit": "depth",
    "epoch": 1,
    "epochs": 2,
    "step": 3,
    "steps": 8,
    "loss": 0.5,
    "seconds_left": 100.0,
}


def _job() -> Job:
    cell = make_cell("lora-stl")
    return Job("x", cell, cell.label, Path("data"), Path("weights"))


def test_of_very_many_cells_those_that_run_are_shown() -> None:
    jobs = [Job("x", cell, f"cell {cell.seed}", Path("d"), Path("w")) for cell in map(_seeded, range(500))]
    view = LiveTable(jobs, Console(file=io.StringIO(), force_terminal=True))
    view(Event(jobs[400].cell.id, "step", STEP))
    view(Event(jobs[3].cell.id, "done", {"wall_s": 61.0}))
    view(Event(jobs[450].cell.id, "failed", {"kind": "data"}))
    screen = Console(file=io.StringIO(), width=100)
    screen.print(view.render())
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
        assert isinstance(view, PlainLines)
        view(Event(job.cell.id, "start", {"attempt": 1}))
        view(Event(job.cell.id, "step", STEP))
        view(Event(job.cell.id, "step", STEP))
        view(Event(job.cell.id, "retry", {"kind": "infrastructure", "retry": 1, "of": 2, "pause_s": 10.0}))
        view(Event(job.cell.id, "retry", {"kind": "infrastructure", "retry": 2, "of": 2, "pause_s": 0.0}))
        view(Event(job.cell.id, "done", {"wall_s": 61.0}))
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
        assert isinstance(view, LiveTable)
        view(Event(job.cell.id, "step", STEP))
        view(Event(job.cell.id, "failed", {"kind": "diverged", "message": "m"}))
    assert "lora-stl s0" in stream.getvalue()
    assert view.rows[job.cell.id] == ["lora-stl s0", "failed", "1/2 depth", "3/8", "0.5000", "diverged"]


def test_a_warning_is_shown_once_and_not_once_a_cell() -> None:
    jobs = [Job("x", cell, f"cell {cell.seed}", Path("d"), Path("w")) for cell in map(_seeded, range(2))]
    for view in (PlainLines, LiveTable):
        console = Console(file=io.StringIO(), force_terminal=view is LiveTable, width=60)
        shown = view(jobs, console)
        for job in jobs:
            shown(Event(job.cell.id, "warning", {"message": "train: depth up to 80, published is 10\x1b[2J"}))
        text = console.file.getvalue()  # type: ignore[attr-defined]
        assert text.count("warning: train: depth up to 80, published is 10") == 1
        assert "\x1b[2J" not in text
