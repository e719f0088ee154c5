"""``tabench watch`` and ``tabench cancel``: cells that run somewhere else."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.output import MANY, STATE_STYLES, console, print_json, say
from tabench.cli.planning import count_states, experiment_name, say_unasked, status_rows
from tabench.errors import StoreError

if TYPE_CHECKING:
    from rich.table import Table

    from tabench.runs.slurm.queue import Queued
    from tabench.store.folders import ExperimentFolder

BUSY = ("running", "queued", "submitted")
CALM_LOOKS = 3  # looks in a row without a busy cell that end it: a cell may be between two nodes


@app.command(epilog="Examples:\n\n  tabench watch nyuv2\n\n  tabench watch nyuv2 --results /shared/results")
def watch(
    experiment: options.ExperimentArgument,
    every: Annotated[float, typer.Option(min=0.2, metavar="SECONDS", help="Between two looks.")] = 2.0,
    results: options.ResultsOption = options.RESULTS,
) -> None:
    """Follow the cells of an experiment until none runs or waits, from any host that sees its results.

    Where Slurm cannot be asked, cells that were submitted and have not ended count as waiting.
    """
    from tabench.store.folders import ExperimentFolder

    folder = ExperimentFolder(results, experiment_name(experiment))
    content = folder.read_experiment()
    say_unasked(status_rows(folder, content)[1])
    screen = console()
    with suppress(KeyboardInterrupt):
        if screen.is_terminal:
            _watch_table(folder, content, every)
        else:
            _watch_lines(folder, content, every)


def _watch_table(folder: ExperimentFolder, content: Mapping[str, Any], every: float) -> None:
    from rich.live import Live

    calm = 0
    rows: list[dict[str, Any]] = []
    with Live(console=console(), auto_refresh=False) as live:
        while calm < CALM_LOOKS:
            rows, _ = status_rows(folder, content, rows)
            live.update(_table(rows), refresh=True)
            calm = _calm(rows, calm)
            time.sleep(every if calm < CALM_LOOKS else 0)


def _watch_lines(folder: ExperimentFolder, content: Mapping[str, Any], every: float) -> None:
    """A line whenever a cell's state or position changes; for logs."""
    calm = 0
    before: dict[str, tuple[str, str]] = {}
    rows: list[dict[str, Any]] = []
    while calm < CALM_LOOKS:
        rows, _ = status_rows(folder, content, rows)
        for row in rows:
            now = (row["state"], row["detail"])
            if before.get(row["id"]) != now:
                before[row["id"]] = now
                say(f"{row['label']}: {' '.join(now)}".rstrip())
        calm = _calm(rows, calm)
        time.sleep(every if calm < CALM_LOOKS else 0)
    typer.echo(_sum(rows))


def _calm(rows: Sequence[Mapping[str, Any]], before: int) -> int:
    if any(row["state"] in BUSY for row in rows):
        return 0
    whole = all(row["state"] in ("done", "failed") for row in rows)
    return CALM_LOOKS if whole else before + 1


def _sum(rows: Sequence[Mapping[str, Any]]) -> str:
    return ", ".join(f"{count} {state}" for state, count in count_states(rows).items())


def _shown(rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """All rows, or of very many those that change, then those that wait for somebody."""
    if len(rows) <= MANY:
        return rows
    order = {state: place for place, state in enumerate((*BUSY, "failed", "partial"))}
    return sorted(rows, key=lambda row: order.get(row["state"], len(order)))[:MANY]


def _table(rows: Sequence[Mapping[str, Any]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    from tabench.text import inert

    table = Table("method, seed", "state", "detail", box=None, pad_edge=False, caption=_sum(rows))
    for row in _shown(rows):
        state = Text(row["state"], style=STATE_STYLES.get(row["state"], ""))
        table.add_row(Text(inert(row["label"])), state, Text(inert(row["detail"])))
    return table


@app.command(epilog="Examples:\n\n  tabench cancel nyuv2")
def cancel(
    experiment: options.ExperimentArgument,
    results: options.ResultsOption = options.RESULTS,
    as_json: options.JsonOption = False,
) -> None:
    """End an experiment's cells on a Slurm cluster; running ones stop at a checkpoint, which is kept.

    Word is left in the results folder, so that it works from a host without Slurm, too: there the running
    cells stop within seconds and the waiting ones when their turn comes.
    """
    from tabench.runs.slurm.queue import SlurmError, cells_of, command, waiting
    from tabench.runs.slurm.submission import submissions
    from tabench.store.folders import ExperimentFolder

    folder = ExperimentFolder(results, experiment_name(experiment))
    folder.read_experiment()
    found = [one for one in submissions(folder.path) if not one.cancelled.exists()]
    if not found:
        raise StoreError(
            "nothing of this experiment was submitted to Slurm",
            where=str(folder.path),
            hint="a run of another executor ends with Ctrl-C",
        )
    for one in found:
        one.cancel()
    queued: dict[str, Queued] = {}
    told = ""
    try:
        queued = waiting(cells_of(found))
        if queued:
            command(["scancel", *sorted({each.element.partition("_")[0] for each in queued.values()})])
    except SlurmError as error:
        told = str(error)
    if as_json:
        cells = {cell: {"job": each.element, "state": each.state} for cell, each in queued.items()}
        print_json({"experiment": folder.experiment, "cancelled": cells, "problem": told})
        return
    typer.echo(
        f"{len(queued)} cells taken out of the queue" if not told else f"word was left for them; {told}"
    )
