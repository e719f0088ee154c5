"""``tabench plan``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from tabench.cli import options
from tabench.cli.app import app, examples
from tabench.cli.output import print_json, print_table, say
from tabench.text import bytes_text, duration

if TYPE_CHECKING:
    from tabench.runs.plan import Plan


@app.command(
    epilog=examples(
        "plan experiments/nyuv2.toml",
        "plan nyuv2 --profile paper --data-root /data/nyuv2 --checkpoint sam_vit_l_0b3195.pth",
        "plan nyuv2 --set train.epochs=2 --select method=ta-lora --json",
    )
)
@options.spread
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
    seconds, disk = _needed(plan)
    typer.echo(
        f"\n{len(plan.open)} of {len(plan.cells)} cells to run, about {duration(seconds)} one after the "
        f"other, up to {bytes_text(disk)} of checkpoint at a time"
    )
    roughest = {p.estimate.basis: p.estimate.detail for p in plan.open if p.estimate}
    if "rough" in roughest:
        typer.echo(f"rough: {roughest['rough']}")


def _needed(plan: Plan) -> tuple[float, int]:
    """Seconds and bytes of checkpoint of what is to be run."""
    seconds = sum(p.estimate.seconds for p in plan.open if p.estimate)
    return seconds, max((p.disk for p in plan.open), default=0)


def plan_json(plan: Plan, results: Path) -> dict[str, Any]:
    """A plan as JSON values."""
    place = plan.resolution
    seconds, disk = _needed(plan)
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
        "seconds": seconds,
        "disk_bytes": disk,
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
