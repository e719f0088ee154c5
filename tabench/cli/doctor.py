"""``tabench doctor``: is this machine ready?"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.output import print_json
from tabench.errors import CheckpointError

COLOURS = {"ok": "green", "note": "yellow", "problem": "red"}


@app.command()
def doctor(as_json: options.JsonOption = False) -> None:
    """Check what decides whether runs work and repeat: torch, devices, weights, data, disk."""
    from tabench.provenance.determinism import findings
    from tabench.provenance.environment import capture

    lines: list[tuple[str, str, str]] = [(f.level, f.message, f.hint) for f in findings()]
    lines += [*_weights(), _data(), _disk()]
    if as_json:
        rows = [{"level": level, "message": message, "hint": hint} for level, message, hint in lines]
        print_json({"findings": rows, "environment": capture()})
    else:
        for level, message, hint in lines:
            typer.secho(f"{level:8}", fg=COLOURS[level], nl=False)
            typer.echo(f"{message}{f' -> {hint}' if hint else ''}")
    if any(level == "problem" for level, _, _ in lines):
        raise typer.Exit(1)


def _weights() -> list[tuple[str, str, str]]:
    from tabench.catalog import BACKBONES
    from tabench.runs.weights import find_weights

    lines = []
    for name in BACKBONES.names():
        try:
            lines.append(("ok", f"weights of {name}: {find_weights(BACKBONES.get(name), None).path}", ""))
        except CheckpointError as error:
            lines.append(("note", error.message, error.hint or ""))
    return lines


def _data() -> tuple[str, str, str]:
    folder = os.environ.get("TABENCH_DATA")
    if not folder:
        return (
            "note",
            "TABENCH_DATA is not set",
            "set it to the folder that holds nyuv2/, or give --data-root",
        )
    if not Path(folder).is_dir():
        return ("problem", f"TABENCH_DATA={folder} is no folder", "correct or unset it")
    return ("ok", f"TABENCH_DATA={folder}", "")


def _disk() -> tuple[str, str, str]:
    from tabench.runs.estimate import size

    free = shutil.disk_usage(Path.cwd()).free
    if free < 2e9:
        return (
            "problem",
            f"{size(free)} free on this disk",
            "full fine-tuning of SAM needs tens of gigabytes",
        )
    return ("ok", f"{size(free)} free on this disk", "")
