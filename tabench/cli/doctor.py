"""``tabench doctor``: is this machine ready?"""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.output import print_json
from tabench.errors import CheckpointError, StoreError

if TYPE_CHECKING:
    from tabench.provenance.machine import Finding

COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


@app.command(
    epilog="Examples:\n\n  tabench doctor\n\n  tabench doctor --results /scratch/results --json\n\n"
    "  tabench doctor --determinism --device cuda"
)
def doctor(
    results: options.ResultsOption = options.RESULTS,
    determinism: Annotated[
        bool,
        typer.Option(
            "--determinism",
            help="Also train a short demo cell twice alike and once with another number of threads, and say "
            "where they part.",
        ),
    ] = False,
    device: options.DeviceOption = "auto",
    as_json: options.JsonOption = False,
) -> None:
    """Check what decides whether runs work and repeat: torch, devices, weights, data, disks.

    Files are written to the results folder and the cache for a moment. Exit code 1 if there is a problem.
    """
    from tabench.engine.device import choose_device

    choose_device(device)  # findings about another one would be no answer
    from tabench.provenance.determinism import findings, forced_findings
    from tabench.provenance.environment import capture
    from tabench.provenance.files import folder_findings
    from tabench.provenance.machine import machine_findings

    found = [
        *machine_findings(),
        *findings(),
        *forced_findings(),
        *folder_findings(results, "results folder"),
        *_cache(),
        *_weights(),
        _data(),
    ]
    if determinism:
        from tabench.cli.determinism import repeats

        found += repeats(device)
    if as_json:
        print_json({"findings": [asdict(f) for f in found], "environment": capture()})
    else:
        for f in found:
            typer.secho(f"{f.level:8}", fg=COLOURS[f.level], nl=False)
            typer.echo(f"{f.message}{f' -> {f.hint}' if f.hint else ''}")
    if any(f.level == "problem" for f in found):
        raise typer.Exit(1)


def _cache() -> list[Finding]:
    from tabench.provenance.files import folder_findings
    from tabench.provenance.machine import Finding
    from tabench.store.folders import cache_root

    try:
        return folder_findings(cache_root(), "cache")
    except StoreError as error:
        return [Finding("problem", f"{error.where}: {error.message}", error.hint or "")]


def _weights() -> list[Finding]:
    from tabench.catalog import BACKBONES
    from tabench.provenance.machine import Finding
    from tabench.runs.weights import find_weights

    found = []
    for name in BACKBONES.names():
        try:
            found.append(Finding("ok", f"weights of {name}: {find_weights(BACKBONES.get(name), None).path}"))
        except CheckpointError as error:
            found.append(Finding("note", error.message, error.hint or ""))
    return found


def _data() -> Finding:
    from tabench.provenance.machine import Finding

    folder = os.environ.get("TABENCH_DATA")
    if not folder:
        hint = "set it to the folder that holds nyuv2/, or give --data-root"
        return Finding("note", "TABENCH_DATA is not set", hint)
    if not Path(folder).is_dir():
        return Finding("problem", f"TABENCH_DATA={folder} is no folder", "correct or unset it")
    return Finding("ok", f"TABENCH_DATA={folder}")
