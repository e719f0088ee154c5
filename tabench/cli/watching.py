"""``tabench status``, ``watch`` and ``cancel``: cells as the results folder and Slurm's queue tell them."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabench.cli import options
from tabench.cli.app import app, examples
from tabench.cli.output import print_json, print_table, say
from tabench.errors import StoreError
from tabench.events import CheckpointKept, Epoch, MemoryShort, Resumed, read_line
from tabench.text import duration

if TYPE_CHECKING:
    from tabench.runs.slurm.queue import Last
    from tabench.store.folders import CellFolder, ExperimentFolder
    from tabench.store.index import Known

AT_A_STEP = CheckpointKept | Epoch | MemoryShort | Resumed
BUSY = ("running", "queued", "submitted")
CALM_LOOKS = 3  # looks in a row without a busy cell that end it: a cell may be between two nodes


@app.command(epilog=examples("status nyuv2", "status nyuv2 --json | jq .counts"))
def status(
    experiment: options.ExperimentArgument,
    results: options.ResultsOption = options.RESULTS,
    as_json: options.JsonOption = False,
) -> None:
    """Print the state of every cell as the last run left it: done, failed, partial, running or pending."""
    from tabench.store.folders import ExperimentFolder

    folder = ExperimentFolder(results, options.experiment_name(experiment))
    content = folder.read_experiment()
    rows, problem = status_rows(folder, content)
    if as_json:
        counts = dict(Counter(row["state"] for row in rows))
        known = {"experiment": folder.experiment, "profile": content["profile"], "counts": counts}
        print_json({**known, **({"slurm_problem": problem} if problem else {}), "cells": rows})
        return
    _say_unasked(problem)
    say(f"{content['title']}\nprofile {content['profile']}\n")
    print_table(
        ["cell", "method, seed", "state", "detail"],
        ([row["id"], row["label"], row["state"], row["detail"]] for row in rows),
        state=2,
    )
    typer.echo(f"\n{_sum(rows)}")


def status_rows(
    folder: ExperimentFolder, content: Mapping[str, Any], before: Iterable[dict[str, Any]] = ()
) -> tuple[list[dict[str, Any]], str]:
    """State and detail of every cell, from the store and from Slurm's queue.

    Rows of an earlier look (`before`) that were done are taken over, without a look at their files. Also
    returns why Slurm could not be asked for cells that were submitted to it ("" if it could).
    """
    from tabench.store.index import read_cells, read_index

    done = {row["id"]: row for row in before if row["state"] == "done"}
    cells: Mapping[str, str] = content["cells"]
    if done:
        index = read_cells(folder.root, folder.experiment, (name for name in cells if name not in done))
    else:
        index = read_index(folder.root, folder.experiment)
    rows = [
        done.get(cell_id) or _row(index.cells.get(cell_id), folder.cell(cell_id), label)
        for cell_id, label in cells.items()
    ]
    if not (folder.path / "slurm").is_dir():
        return rows, ""
    from tabench.runs.slurm.queue import add_queue

    return rows, add_queue(folder, rows)


def _row(known: Known | None, folder: CellFolder, label: str) -> dict[str, Any]:
    state, detail = known.state if known else "pending", ""
    row: dict[str, Any] = {"id": folder.cell_id, "label": label, "state": state}
    if known is None:
        return {**row, "detail": detail}
    if state == "done":
        row["wall_s"], row["finished"] = known.wall_s, known.finished
        detail = known.problem or (f"took {duration(known.wall_s)}" if known.wall_s is not None else "")
    elif state == "failed":
        row["kind"], row["message"] = known.kind, known.message
        detail = known.problem or f"{known.kind}: {known.message.partition(chr(10))[0]}"
    else:
        events = map(read_line, reversed(folder.read_journal()))
        last = next((event for event in events if isinstance(event, AT_A_STEP)), None)
        if last is not None:
            row["step"] = last.step
            detail = f"{last.unit} at step {last.step}"
    return {**row, "detail": detail}


def _say_unasked(problem: str) -> None:
    """Say on standard error why Slurm's queue is not in what is shown."""
    if problem:
        typer.echo(f"Slurm's queue cannot be asked, the results folder alone is shown: {problem}\n", err=True)


def _sum(rows: Sequence[Mapping[str, Any]]) -> str:
    """How many cells are in each state, in the order they are met."""
    return ", ".join(f"{count} {state}" for state, count in Counter(row["state"] for row in rows).items())


@app.command(epilog=examples("watch nyuv2", "watch nyuv2 --results /shared/results"))
def watch(
    experiment: options.ExperimentArgument,
    every: Annotated[float, options.option("Between two looks.", min=0.2, metavar="SECONDS")] = 2.0,
    results: options.ResultsOption = options.RESULTS,
) -> None:
    """Follow the cells of an experiment until none runs or waits, from any host that sees its results.

    Where Slurm cannot be asked, cells that were submitted and have not ended count as waiting.
    """
    from tabench.store.folders import ExperimentFolder

    folder = ExperimentFolder(results, options.experiment_name(experiment))
    content = folder.read_experiment()
    _say_unasked(status_rows(folder, content)[1])
    calm = 0
    rows: list[dict[str, Any]] = []
    told: dict[str, str] = {}
    with suppress(KeyboardInterrupt):
        while calm < CALM_LOOKS:
            rows, _ = status_rows(folder, content, rows)
            for row in rows:  # a line whenever a cell's state or position changes
                line = f"{row['label']}: {row['state']} {row['detail']}".rstrip()
                if told.get(row["id"]) != line:
                    told[row["id"]] = line
                    say(line)
            whole = all(row["state"] in ("done", "failed") for row in rows)
            calm = 0 if any(row["state"] in BUSY for row in rows) else CALM_LOOKS if whole else calm + 1
            time.sleep(every if calm < CALM_LOOKS else 0)
        typer.echo(_sum(rows))


@app.command(epilog=examples("cancel nyuv2"))
def cancel(
    experiment: options.ExperimentArgument,
    results: options.ResultsOption = options.RESULTS,
    as_json: options.JsonOption = False,
) -> None:
    """End an experiment's cells on a Slurm cluster; running ones stop at a checkpoint, which is kept.

    Word is left in the results folder, so that it works from a host without Slurm, too: there the running
    cells stop within seconds and the waiting ones when their turn comes.
    """
    from tabench.runs.slurm.queue import SlurmError, cells_of, command, open_submissions
    from tabench.store.folders import ExperimentFolder

    folder = ExperimentFolder(results, options.experiment_name(experiment))
    folder.read_experiment()
    found = open_submissions(folder.path)
    if not found:
        raise StoreError(
            "nothing of this experiment was submitted to Slurm",
            where=str(folder.path),
            hint="a run of another executor ends with Ctrl-C",
        )
    for one in found:
        one.cancelled.touch()
    queued: dict[str, Last] = {}
    told = ""
    try:
        queued = {cell: last for cell, last in cells_of(found).items() if last.waiting}
        if queued:
            command(["scancel", *sorted({each.element.partition("_")[0] for each in queued.values()})])
    except SlurmError as error:
        told = str(error)
    if as_json:
        cells = {cell: {"job": each.element, "state": each.state} for cell, each in queued.items()}
        print_json({"experiment": folder.experiment, "cancelled": cells, "problem": told})
    else:
        typer.echo(
            f"word was left for them; {told}" if told else f"{len(queued)} cells taken out of the queue"
        )
