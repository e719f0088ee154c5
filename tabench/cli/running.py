"""``tabench run``, and ``tabench evaluate``: new records from kept weights."""

from __future__ import annotations

import enum
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app, examples
from tabench.cli.output import console, note, print_json, print_traces, progress_bar, say
from tabench.cli.planning import plan_json, print_plan
from tabench.cli.reporting import REPORTS, previews, write_reports
from tabench.errors import FAILURE_KINDS, CheckpointError, SpecError

if TYPE_CHECKING:
    from tabench.runs.executor import Executor, Job, Options, Outcome
    from tabench.runs.plan import Plan


_TOLD = ("state", "kind", "message")  # of an outcome, in --json


class OnError(enum.StrEnum):
    """What a run does after a cell has failed."""

    CONTINUE = "continue"
    STOP = "stop"


RUNNING = examples(
    "run experiments/nyuv2.toml --report",
    "run nyuv2 --select method=ta-lora --select seed=0 --set train.epochs=2",
    "run nyuv2 --profile paper --data-root /data/nyuv2 --checkpoint sam_vit_l_0b3195.pth",
    "run nyuv2 --retry out-of-memory --micro-batch 1",
    "run nyuv2 --profile paper --processes 4     four GPUs a cell",
    more=(
        "Finished cells are never run twice. After Ctrl-C or a kill, the same command resumes.",
        "A cell fails as spec, data, out-of-memory, diverged, interrupted, infrastructure or unexpected. "
        "interrupted (by others than you) and infrastructure are tried again twice by themselves, from the "
        "last checkpoint.",
        "The same command tries every failed cell again; --retry narrows that.",
        "Exit code: 0 all done or run by another process, 1 a cell failed (others still ran), "
        "2 nothing could start, 130 interrupted.",
    ),
)


@app.command(epilog=RUNNING)
@options.spread
def run(
    asked: options.Asked,
    context: typer.Context,
    how: options.How,
    on_error: Annotated[
        OnError,
        options.how("After a cell has failed: go on, or stop at once; running cells keep a checkpoint."),
    ] = OnError.CONTINUE,
    retry: Annotated[
        list[str] | None,
        options.option(
            "Of the cells that failed before, run only those of this kind again; none leaves all failed "
            "ones. Repeatable.",
            metavar="KIND",
            panel=options.WHAT,
        ),
    ] = None,
    slurm: Annotated[
        list[str] | None,
        options.how(
            "For --executor slurm: a TOML file (table slurm), or partition=gpu, account=, time=, gpus=, "
            "cpus=, ... Repeatable; a later one wins.",
            metavar="FILE|KEY=VALUE",
        ),
    ] = None,
    report: Annotated[
        bool, options.how("Write reports/NAME: first a preview of the first cells.", "--report")
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Run every cell of an experiment that has no record yet."""
    from tabench.catalog import EXECUTORS
    from tabench.runs.executor import Options
    from tabench.runs.slurm_settings import read_settings
    from tabench.store.claim import silence
    from tabench.store.folders import CellFolder, ExperimentFolder
    from tabench.store.tidy import settle, sweep_shared

    silence()  # the variable that it reads may be wrong
    if how.executor != "auto":
        EXECUTORS.entry(how.executor, where="--executor")
    if slurm and how.executor != "slurm":
        raise SpecError("--slurm is only read with --executor slurm", hint="add --executor slurm")
    settings = read_settings(slurm or ())
    for kind in retry or ():
        if kind not in (kinds := [*FAILURE_KINDS, "none"]):
            hint = f"known: {', '.join(kinds)}"
            raise SpecError(f"no kind of failure '{kind}'", where="--retry", hint=hint)
    plan = asked.plan(how.device)
    check_plan(plan)
    results, name = asked.results, plan.experiment.name
    if report and plan.experiment.published is not None:
        from tabench.report.records.published import read_rows

        read_rows(plan.experiment.published, [plan.resolution.resolved.dataset_name])  # before, not after
    if not as_json:
        print_plan(plan)
    for planned in plan.cells:
        if planned.state == "done":
            settle(CellFolder(results, name, planned.cell.id))
    sweep_shared(ExperimentFolder(results, name))
    given = {key: value for key, value in vars(how).items() if key != "executor"}
    place = Options(results=results, on_error=on_error.value, slurm=settings, **given)
    outcomes = _run(plan, _wanted(plan.jobs(), results, retry), how.executor, place, report)
    if as_json:
        ended = [
            {"id": o.job.cell.id, "label": o.job.label, **{key: getattr(o, key) for key in _TOLD}}
            for o in outcomes
        ]
        print_json({**plan_json(plan, results), "outcomes": ended})
    else:
        _summary(outcomes)
    if report and not any(o.state == "interrupted" for o in outcomes):
        write_reports(results, {name: REPORTS / name}, {name: plan.experiment.published}, as_json)
    _end(results, outcomes, traces=context.obj, stopped=on_error is OnError.STOP)


def check_plan(plan: Plan) -> None:
    """Check that this process may compute a plan's open cells; see `check_numerics`."""
    from tabench.provenance.portable import check_numerics

    if plan.open:
        check_numerics(plan.resolution.settings.train.numerics)


def _end(results: Path, outcomes: list[Outcome], *, traces: bool, stopped: bool = False) -> None:
    """Print where cells failed (--debug), and end with the exit code that their outcomes ask for.

    `stopped` says that the first failure ended the run.
    """
    failed = any(o.state == "failed" for o in outcomes)
    if traces:
        print_traces(results, outcomes)
    if failed and stopped:
        typer.echo("stopped after a failure: the same command goes on with the other cells", err=True)
    elif any(o.state == "interrupted" for o in outcomes):
        typer.echo("interrupted: give the same command again to resume", err=True)
        raise typer.Exit(130)
    if failed:
        raise typer.Exit(1)


def _wanted(jobs: list[Job], results: Path, retry: list[str] | None) -> list[Job]:
    """Jobs without the cells that failed of another kind than was asked for."""
    if not retry:
        return jobs
    kept = []
    for job in jobs:
        folder = job.folder(results)
        if folder.state() != "failed" or folder.read_failure().get("kind") in retry:
            kept.append(job)
    if len(kept) < len(jobs):
        typer.echo(f"{len(jobs) - len(kept)} failed cells are left as they are (--retry)", err=True)
    return kept


def _run(plan: Plan, jobs: list[Job], executor: str, place: Options, report: bool) -> list[Outcome]:
    """Look at everything that could fail every cell, then run them."""
    from tabench.runs.inputs import check_inputs
    from tabench.runs.live import view_of
    from tabench.store.atomic import check_writable
    from tabench.store.folders import ExperimentFolder

    if place.processes > 1:
        from tabench.runs.launch import check_processes
        from tabench.runs.local.pool import gpus_of

        check_processes(place, jobs, [] if executor == "slurm" else gpus_of(place.device))
    folder = ExperimentFolder(place.results, plan.experiment.name)
    if not jobs:
        if folder.path.is_dir():  # what the file says of reports and comparisons may be younger than the runs
            folder.write_experiment(plan.experiment_json())
        return []
    place = place.for_cell(jobs[0].cell)
    if executor == "slurm":
        from tabench.runs.slurm.queue import require

        require("sbatch", "srun")
    # nothing is made yet: wrong inputs leave no folder behind
    check_writable(next(one for one in (folder.path, *folder.path.parents) if one.exists()))
    device = "auto" if executor == "slurm" else place.device  # a node's own
    check_inputs(plan, jobs, device, note)
    check_writable(folder.path)
    folder.write_experiment(plan.experiment_json())
    generate_data(plan)
    with ExitStack() as around:
        listener = around.enter_context(view_of(jobs, console(stderr=True)))
        if report:
            note(f"a preview after the first cell: {REPORTS / plan.experiment.name / 'index.html'}")
            listener = around.enter_context(previews(listener, plan.experiment.name, place.results))
        return _executor(executor, jobs, place).run(jobs, place, listener)


def _executor(name: str, jobs: list[Job], place: Options) -> Executor:
    from tabench.catalog import EXECUTORS

    if name == "auto":
        from tabench.runs.local.pool import worthwhile

        name = "pool" if worthwhile(jobs, place) else "inline"
    return EXECUTORS.get(name, where="--executor")()


def generate_data(plan: Plan) -> None:
    """Write the synthetic dataset, or what is missing of it, and show how far it is."""
    from tabench.runs import inputs

    if plan.resolution.generate is not None:
        with progress_bar(f"generating {plan.resolution.resolved.dataset_name}") as progress:
            inputs.generate_data(plan, progress)


def _summary(outcomes: list[Outcome]) -> None:
    if not outcomes:
        typer.echo("nothing to run")
        return
    for outcome in outcomes:
        if outcome.state in ("failed", "busy"):
            typer.secho(f"{outcome.job.label}: {outcome.state} ", fg="red", nl=False)
            say(f"{outcome.kind}\n  {outcome.message}")
    counts = {s: sum(o.state == s for o in outcomes) for s in ("done", "failed", "interrupted", "busy")}
    typer.echo(", ".join(f"{count} {state}" for state, count in counts.items() if count))


EVALUATING = examples(
    "run nyuv2 --keep-weights                       train once, keep what was trained",
    "evaluate nyuv2 --set evaluation.pictures=12    other pictures, the same weights",
    more=(
        "Works where a cell differs from a finished one in its evaluation alone: pictures, curves, or a",
        "newer version of a task's metrics. The record is the one that training again would give.",
    ),
)


@app.command(epilog=EVALUATING)
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
    check_plan(plan)
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
        place = Options(results=results, device=device, threads=threads).for_cell(jobs[0].cell)
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
    _end(results, outcomes, traces=context.obj)
    if any(row["state"] not in ("done", "left") for row in rows.values()):
        raise typer.Exit(1)
