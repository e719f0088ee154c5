"""``tabench evaluate``: new records from kept weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app, examples
from tabench.cli.output import console, note, print_json, print_traces
from tabench.errors import CheckpointError

if TYPE_CHECKING:
    from tabench.runs.executor import Job, Outcome

EXAMPLES = examples(
    "run nyuv2 --keep-weights                       train once, keep what was trained",
    "evaluate nyuv2 --set evaluation.pictures=12    other pictures, the same weights",
    more=(
        "Works where a cell differs from a finished one in its evaluation alone: pictures, curves, or a",
        "newer version of a task's metrics. The record is the one that training again would give.",
    ),
)


@app.command(epilog=EXAMPLES)
@options.spread
def evaluate(
    asked: options.Asked,
    context: typer.Context,
    device: options.DeviceOption = "auto",
    threads: Annotated[int, options.how("CPU threads; 0 = all usable cores.", min=0)] = 0,
    as_json: options.JsonOption = False,
) -> None:
    """Evaluate cells without a record from weights that finished cells kept; trains nothing."""
    from tabench.catalog import EXECUTORS
    from tabench.runs.executor import Options
    from tabench.runs.inputs import check_inputs
    from tabench.runs.live import view_of
    from tabench.runs.reevaluate import Source, find_source, put_weights
    from tabench.store.folders import ExperimentFolder
    from tabench.store.index import read_index

    plan = asked.plan(device)
    results, name = asked.results, plan.experiment.name
    index = read_index(results, name)
    found: list[tuple[Job, Source]] = []
    rows: dict[str, dict[str, str]] = {}
    for job in plan.jobs():
        source = find_source(job.cell, index, results, name)
        row = {"id": job.cell.id, "label": job.label, "state": "left", "message": "", "weights_from": ""}
        if isinstance(source, str):
            row["message"] = source
        else:
            row["weights_from"] = source.record.cell_id
            found.append((job, source))
        rows[job.cell.id] = row
    if found:
        check_inputs(plan, [job for job, _ in found], device, note)
    jobs: list[Job] = []
    for job, source in found:
        try:
            put_weights(source, job.cell, job.folder(results))
            jobs.append(job)
        except CheckpointError as error:  # of this cell alone: the others are evaluated
            rows[job.cell.id] |= {"state": "failed", "message": str(error)}
    outcomes: list[Outcome] = []
    if jobs:
        ExperimentFolder(results, name).write_experiment(plan.experiment_json())
        place = Options(results=results, device=device, threads=threads)
        with view_of(jobs, console(stderr=True)) as view:
            outcomes = EXECUTORS.get("inline")().run(jobs, place, view)
    for outcome in outcomes:
        rows[outcome.job.cell.id] |= {"state": outcome.state, "message": outcome.message}
    if as_json:
        cells = list(rows.values())
        print_json({"experiment": name, "profile": plan.resolution.profile, "cells": cells})
    else:
        if not rows:
            typer.echo("every selected cell has a record already")
        for row in rows.values():
            told = f"{row['state']}, weights of {row['weights_from']} {row['message']}".rstrip()
            told = told if row["weights_from"] else f"not evaluated: {row['message']}"
            typer.echo(f"{row['id']}  {row['label']}: {told}")
    if context.obj:
        print_traces(results, outcomes)
    if any(outcome.state == "interrupted" for outcome in outcomes):
        raise typer.Exit(130)
    if any(row["state"] not in ("done", "left") for row in rows.values()):
        raise typer.Exit(1)
