"""``tabench doctor``: is this machine ready, and does a short cell come out the same again?"""

from __future__ import annotations

import os
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from tabench.cli import options
from tabench.cli.app import app, examples
from tabench.cli.output import COLOURS, print_json
from tabench.cli.running import generate_data
from tabench.errors import CheckpointError, StoreError
from tabench.provenance.machine import Finding

if TYPE_CHECKING:
    from tabench.runs.executor import Job
    from tabench.runs.repeating import Trial

SHORT = (  # a cell of the demo that takes seconds
    "dataset.generate={seed=0, train=8, val=2, height=48, width=64}",
    "axes.seeds=[0]",
    "train.max_steps=8",
    "train.batch_size=2",
    "evaluation.every=0",
    "evaluation.pictures=1",
)


@app.command(
    epilog=examples(
        "doctor", "doctor --results /scratch/results --json", "doctor --determinism --device cuda"
    )
)
def doctor(
    results: options.ResultsOption = options.RESULTS,
    determinism: Annotated[
        bool,
        options.option(
            "Also train a short demo cell twice alike and once with another number of threads, and say "
            "where they part.",
            "--determinism",
        ),
    ] = False,
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Check what decides whether runs work and repeat: torch, devices, weights, data, disks.

    Files are written to the results folder and the cache for a moment. Exit code 1 if there is a problem.
    """
    from tabench.engine.process_group import choose_device

    choose_device(device)  # findings about another one would be no answer
    from tabench.provenance.determinism import findings, forced_finding
    from tabench.provenance.environment import capture
    from tabench.provenance.machine import build_finding, folder_findings

    found = [
        build_finding(),
        *findings(),
        forced_finding(),
        *folder_findings(results, "results folder"),
        *_cache(),
        *_weights(),
        _data(),
        *(repeats(device) if determinism else ()),
    ]
    if as_json:
        print_json({"findings": [asdict(f) for f in found], "environment": capture()})
    else:
        for f in found:
            typer.secho(f"{f.level:8}", fg=COLOURS.get(f.level, "red"), nl=False)
            typer.echo(f"{f.message}{f' -> {f.hint}' if f.hint else ''}")
    if any(f.level == "problem" for f in found):
        raise typer.Exit(1)


def _cache() -> list[Finding]:
    from tabench.provenance.files import cache_root
    from tabench.provenance.machine import folder_findings

    try:
        return folder_findings(cache_root(), "cache")
    except StoreError as error:
        return [Finding("problem", f"{error.where}: {error.message}", error.hint or "")]


def _weights() -> list[Finding]:
    from tabench.catalog import BACKBONES
    from tabench.runs.resolve import find_weights

    found = []
    for name in BACKBONES.names():
        try:
            found.append(Finding("ok", f"weights of {name}: {find_weights(BACKBONES.get(name), None)}"))
        except CheckpointError as error:
            found.append(Finding("note", error.message, error.hint or ""))
    return found


def _data() -> Finding:
    folder = os.environ.get("TABENCH_DATA")
    if not folder:
        hint = "set it to the folder that holds nyuv2/, or give --data-root"
        return Finding("note", "TABENCH_DATA is not set", hint)
    if not Path(folder).is_dir():
        return Finding("problem", f"TABENCH_DATA={folder} is no folder", "correct or unset it")
    return Finding("ok", f"TABENCH_DATA={folder}")


def repeats(device: str) -> list[Finding]:
    """Train and evaluate TA-LoRA on synthetic rooms twice alike, and once with another number of threads.

    Each time is a process of its own; nothing is kept.
    """
    from tabench.engine.process_group import choose_device
    from tabench.provenance.environment import usable_cores
    from tabench.runs.repeating import differences, try_cell

    place = choose_device(device)
    threads = max(1, usable_cores())
    other = threads - 1 or 2
    with tempfile.TemporaryDirectory(prefix="tabench-") as folder:
        job = _job(Path(folder), device)
        first, again, fewer = (
            try_cell(job, Path(folder) / name, device, count)
            for name, count in (("first", threads), ("again", threads), ("fewer", other))
        )
    what = f"{len(first.losses)} steps of ta-lora on {place.type} came out"
    compared: tuple[tuple[Trial, str, Literal["problem", "note"], str], ...] = (
        (again, "the second time", "problem",
         "look at the switches above; on the CPU try MKL_CBWR=COMPATIBLE or --threads 1"),
        (fewer, f"with {other} threads instead of {threads}", "note",
         "sums are added up in another order; give --threads where numbers must be equal"),
    )  # fmt: skip
    found = []
    for trial, when, level, hint in compared:
        if unlike := differences(first, trial):
            found.append(Finding(level, f"{what} differently {when}: {'; '.join(unlike)}", hint))
        else:
            same = "bit by bit: every loss, the trained weights and the whole record"
            found.append(Finding("ok", f"{what} the same {when}, {same}"))
    return found


def _job(folder: Path, device: str) -> Job:
    asked = options.Asked(
        "nyuv2", profile="demo", overrides=list(SHORT), select=["method=ta-lora"], results=folder / "none"
    )
    plan = asked.plan(device)
    generate_data(plan)
    (job,) = plan.jobs()
    return job
