"""``tabench data prepare``: datasets from the archives that their owners give out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.data import RootOption, data
from tabench.cli.output import print_json, progress_bar
from tabench.data.prepare.guide import help_lines

EPILOG = "\n\n".join(
    [
        "Examples:",
        "  tabench data prepare nyuv2 --from /raw/nyu_depth_v2_labeled.mat --root /data/nyuv2 --workers 8",
        "  tabench data prepare cityscapes --from /raw/cityscapes --root /data/cityscapes",
        "  tabench data prepare pascal_context --from /raw/PASCAL_MT.tgz --root /data/pascal_context",
        "What each dataset needs, where its owner keeps it, and what is written:",
        *help_lines(),
        "What exactly is done to the images and labels: docs/data.md.",
    ]
)


def _workers() -> int:
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, 8)


@data.command(epilog=EPILOG)
def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="nyuv2, cityscapes or pascal_context.")],
    sources: Annotated[
        list[Path],
        typer.Option(
            "--from", metavar="PATH", help="The archive, file or folder you downloaded. Repeatable."
        ),
    ],
    root: RootOption,
    workers: Annotated[int | None, typer.Option(min=1, max=64, help="Threads. Default: the cores.")] = None,
    class_map: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="nyuv2: classMapping40.mat. Default: beside the source."),
    ] = None,
    splits: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="nyuv2: splits.mat. Default: the public 795 / 654, built in."),
    ] = None,
    allow_missing: Annotated[
        bool,
        typer.Option(
            "--allow-missing",
            help="cityscapes: leave out images that lack a file, instead of refusing. "
            "Every plan and report says so.",
        ),
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Bring a dataset's own archives into the layout that is trained on.

    Nothing is downloaded. A stopped call goes on when it is given again.
    """
    from tabench.data.prepare import Request
    from tabench.data.prepare import prepare as run
    from tabench.text import bytes_text

    with progress_bar(f"preparing {name}") as progress:
        asked = Request(
            tuple(sources), root, workers or _workers(), class_map, splits, allow_missing, progress
        )
        outcome = run(name, asked)
    if as_json:
        print_json({"root": str(root), **vars(outcome)})
        return
    for note in outcome.notes:
        typer.secho("note: ", fg="yellow", nl=False)
        typer.echo(note)
    counts = ", ".join(f"{split} {count}" for split, count in outcome.counts.items())
    typer.echo(
        f"{counts}; {outcome.written} files written, {outcome.kept} were there, {bytes_text(outcome.bytes)} "
        f"in {root}"
    )
    typer.echo(f"check it: tabench data verify {name} --root {root}")
