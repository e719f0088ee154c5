"""``tabench plan`` and ``tabench status``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.output import print_json, print_table, say

if TYPE_CHECKING:
    from tabench.runs.plan import Plan
    from tabench.store.folders import CellFolder, ExperimentFolder
    from tabench.store.index import Known

PLAN_EXAMPLES = "\n\n".join(
    [
        "Examples:",
        "  tabench plan experiments/nyuv2.toml",
        "  tabench plan nyuv2 --profile paper --data-root /data/nyuv2 --checkpoint sam_vit_l_0b3195.pth",
        "  tabench plan nyuv2 --set train.epochs=2 --select method=ta-lora --json",
    ]
)


@app.command(epilog=PLAN_EXAMPLES)
@options.asking
def plan(
    asked: options.Asked,
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Print every cell of an experiment: its state, why it would run, its time and disk. Changes nothing."""
    found = asked.plan(device)
    if as_json:
        print_json(plan_json(found, asked.results))
    else:
        print_plan(found)


def print_plan(plan: Plan) -> None:
    """Print a plan for people."""
    from tabench.text import bytes_text, duration

    place = plan.resolution
    say(plan.experiment.title)
    typer.echo(f"profile {place.profile} ({place.why})")
    if place.settings.note:
        say(f"note    {place.settings.note}")
    made = " (generated when it first runs)" if place.generate and not place.data_root.exists() else ""
    typer.echo(f"data    {place.resolved.dataset_name} in {place.data_root}{made}")
    for note in plan.notes:
        say(f"note    {note}")
    typer.echo(f"weights {place.checkpoint}\n")
    rows = []
    for planned in plan.cells:
        cost = planned.estimate
        time = f"{duration(cost.seconds)} ({cost.basis})" if cost else ""
        rows.append([planned.cell.id, plan.labels[planned.cell.id], planned.state, time, planned.why])
    print_table(["cell", "method, seed", "state", "time", "why"], rows, state=2)
    total = sum(p.estimate.seconds for p in plan.open if p.estimate)
    disk = max((p.disk for p in plan.open), default=0)
    typer.echo(
        f"\n{len(plan.open)} of {len(plan.cells)} cells to run, about {duration(total)} one after the other, "
        f"up to {bytes_text(disk)} of checkpoint at a time"
    )
    roughest = {p.estimate.basis: p.estimate.detail for p in plan.open if p.estimate}
    if "rough" in roughest:
        typer.echo(f"rough: {roughest['rough']}")


def plan_json(plan: Plan, results: Path) -> dict[str, Any]:
    """A plan as JSON values."""
    place = plan.resolution
    return {
        "experiment": plan.experiment.name,
        "profile": place.profile,
        "why": place.why,
        "note": place.settings.note,
        "dataset": place.resolved.dataset_name,
        "data_root": str(place.data_root),
        "data_notes": plan.notes,
        "checkpoint": str(place.checkpoint),
        "results": str(results),
        "to_run": len(plan.open),
        "seconds": sum(p.estimate.seconds for p in plan.open if p.estimate),
        "disk_bytes": max((p.disk for p in plan.open), default=0),
        "cells": [
            {
                "id": p.cell.id,
                "label": plan.labels[p.cell.id],
                "method": p.cell.method.name,
                "seed": p.cell.seed,
                "state": p.state,
                "why": p.why,
                "seconds": p.estimate.seconds if p.estimate else 0.0,
                "basis": p.estimate.basis if p.estimate else "",
                "disk_bytes": p.disk,
            }
            for p in plan.cells
        ],
    }


@app.command(epilog="Examples:\n\n  tabench status nyuv2\n\n  tabench status nyuv2 --json | jq .counts")
def status(
    experiment: options.ExperimentArgument,
    results: options.ResultsOption = options.RESULTS,
    as_json: options.JsonOption = False,
) -> None:
    """Print the state of every cell as the last run left it: done, failed, partial, running or pending."""
    from tabench.store.folders import ExperimentFolder

    folder = ExperimentFolder(results, experiment_name(experiment))
    content = folder.read_experiment()
    rows, problem = status_rows(folder, content)
    counts = count_states(rows)
    if as_json:
        known = {"experiment": folder.experiment, "profile": content["profile"], "counts": counts}
        print_json({**known, **({"slurm_problem": problem} if problem else {}), "cells": rows})
        return
    say_unasked(problem)
    say(f"{content['title']}\nprofile {content['profile']}\n")
    print_table(
        ["cell", "method, seed", "state", "detail"],
        ([row["id"], row["label"], row["state"], row["detail"]] for row in rows),
        state=2,
    )
    typer.echo("\n" + ", ".join(f"{count} {state}" for state, count in counts.items()))


def status_rows(
    folder: ExperimentFolder, content: Mapping[str, Any], before: Iterable[dict[str, Any]] = ()
) -> tuple[list[dict[str, Any]], str]:
    """State and detail of every cell, from the store; what waits, from Slurm's queue where it can be asked.

    Args:
        folder: The experiment's.
        content: Its experiment.json.
        before: Rows of an earlier look; those that were done are taken over, without a look at their files.

    Returns:
        The rows, and why Slurm could not be asked for cells that were submitted to it ("" if it could).
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
    from tabench.runs.slurm.queue_status import add_queue

    return rows, add_queue(folder, rows)


def say_unasked(problem: str) -> None:
    """Say on standard error why Slurm's queue is not in what is shown."""
    if problem:
        typer.echo(f"Slurm's queue cannot be asked, the results folder alone is shown: {problem}\n", err=True)


def count_states(rows: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """How many cells are in each state, in the order they are met."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["state"]] = counts.get(row["state"], 0) + 1
    return counts


def experiment_name(text: str) -> str:
    """The name that results are kept under: the file's, or the text itself for results without a file."""
    from tabench.errors import SpecError
    from tabench.spec.experiment import load_experiment

    try:
        path = options.find_experiment(text)
    except SpecError:
        return text
    return load_experiment(path, names=False).name


def _row(known: Known | None, folder: CellFolder, label: str) -> dict[str, Any]:
    from tabench.text import duration

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
        last = next((e for e in reversed(folder.read_journal()) if "step" in e), None)
        if last is not None:
            row["step"] = last["step"]
            detail = f"{last.get('unit', '')} at step {last['step']}".strip()
    return {**row, "detail": detail}
