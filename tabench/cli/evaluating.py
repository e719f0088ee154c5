"""``tabench evaluate``: new records from kept weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.output import console, print_json, print_traces
from tabench.cli.running import check_inputs
from tabench.errors import CheckpointError

if TYPE_CHECKING:
    from tabench.runs.executor import Outcome

EXAMPLES = "\n\n".join(
    [
        "Examples:",
        "  tabench run nyuv2 --keep-weights                       train once, keep what was trained",
        "  tabench evaluate nyuv2 --set evaluation.pictures=12    other pictures, the same weights",
        "Works where a cell differs from a finished one in its evaluation alone: pictures, curves, or a",
        "newer version of a task's metrics. The record is the one that training again would give.",
    ]
)


@app.command(epilog=EXAMPLES)
@options.asking
def evaluate(
    asked: options.Asked,
    context: typer.Context,
    device: options.DeviceOption = "auto",
    threads: Annotated[
        int, typer.Option(min=0, rich_help_panel=options.HOW, help="CPU threads; 0 = all usable cores.")
    ] = 0,
    as_json: options.JsonOption = False,
) -> None:
    """Evaluate cells without a record from weights that finished cells kept; trains nothing."""
    from tabench.catalog import EXECUTORS
    from tabench.runs.executor import Job, Options
    from tabench.runs.live import view_of
    from tabench.runs.reevaluate import Source, find_source, put_weights
    from tabench.store.folders import CellFolder, ExperimentFolder
    from tabench.store.index import read_index

    plan = asked.plan(device)
    results, name = asked.results, plan.experiment.name
    index = read_index(results, name)
    found: list[tuple[Job, Source, dict[str, str]]] = []
    rows = []
    for job in plan.jobs():
        source = find_source(job.cell, index, results, name)
        row = {"id": job.cell.id, "label": job.label, "state": "left", "message": "", "weights_from": ""}
        if isinstance(source, str):
            row["message"] = source
        else:
            row["weights_from"] = source.record.cell_id
            found.append((job, source, row))
        rows.append(row)
    outcomes: list[Outcome] = []
    jobs: list[Job] = []
    if found:
        check_inputs(plan, [job for job, _, _ in found], device)
    for job, source, row in found:
        try:
            put_weights(source, job.cell, CellFolder(results, name, job.cell.id))
            jobs.append(job)
        except CheckpointError as error:  # of this cell alone: the others are evaluated
            row["state"], row["message"] = "failed", str(error)
    if jobs:
        ExperimentFolder(results, name).write_experiment(plan.experiment_json())
        with view_of(jobs, console(stderr=True)) as view:
            outcomes = EXECUTORS.get("inline")().run(jobs, Options(results, device, threads), view)
    ended = {outcome.job.cell.id: outcome for outcome in outcomes}
    for row in rows:
        if row["id"] in ended:
            row["state"], row["message"] = ended[row["id"]].state, ended[row["id"]].message
    if as_json:
        print_json({"experiment": name, "profile": plan.resolution.profile, "cells": rows})
    else:
        _print(rows)
    if context.obj:
        print_traces(results, outcomes)
    if any(outcome.state == "interrupted" for outcome in outcomes):
        raise typer.Exit(130)
    if any(row["state"] not in ("done", "left") for row in rows):
        raise typer.Exit(1)


def _print(rows: list[dict[str, str]]) -> None:
    if not rows:
        typer.echo("every selected cell has a record already")
    for row in rows:
        typer.echo(f"{row['id']}  {row['label']}: ", nl=False)
        if row["weights_from"]:
            typer.echo(f"{row['state']}, weights of {row['weights_from']} {row['message']}".rstrip())
        else:
            typer.echo(f"not evaluated: {row['message']}")
