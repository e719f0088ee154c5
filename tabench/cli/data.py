"""``tabench data``: check datasets, and prepare them from their owners' archives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.app import examples, group
from tabench.cli.options import option
from tabench.cli.output import print_json, progress_bar, tell
from tabench.data.prepare.guide import help_lines

data = group("data", "Check datasets, and prepare them from their archives.")
RootOption = Annotated[Path, option("The dataset's folder.", "--root", metavar="DIR")]


@data.command(epilog=examples("data verify nyuv2 --root /data/nyuv2"))
def verify(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See `tabench list datasets`.")],
    root: RootOption,
    as_json: options.JsonOption = False,
) -> None:
    """Read every file of a dataset and name the wrong ones. Exit code 1 if there are any."""
    from tabench.catalog import DATASETS
    from tabench.data.packs import check_packs
    from tabench.provenance.code import code_of

    dataset = DATASETS.get(name)
    with progress_bar(f"verifying {name}") as progress:
        found = dataset.verify(root, progress)
        packs: list[str] = []
        removed: list[str] = []
        if found.fingerprint:
            code = code_of(DATASETS, name).text
            packs, removed = check_packs(dataset, root, found.fingerprint, progress, code)
    found.warnings += removed
    if as_json:
        keys = ("counts", "problems", "warnings", "fingerprint")
        print_json({"root": str(found.root), **{key: getattr(found, key) for key in keys}, "packs": packs})
    else:
        for line in found.problems:
            tell("wrong", line)
        for line in found.warnings:
            tell("note", line)
        if not any(found.counts.values()):
            typer.echo(f"nothing to read in {root}; get it: {dataset.download}")
        typer.echo(f"{_counts(found.counts) or 'no images'}; {len(found.problems)} problem(s)")
        if found.fingerprint:
            typer.echo(f"fingerprint {found.fingerprint}")
        for line in packs:
            typer.echo(line)
    if found.problems:
        raise typer.Exit(1)


def _counts(counts: dict[str, int]) -> str:
    return ", ".join(f"{split} {count}" for split, count in counts.items())


PREPARE = examples(
    "data prepare nyuv2 --from /raw/nyu_depth_v2_labeled.mat --root /data/nyuv2 --workers 8",
    "data prepare cityscapes --from /raw/cityscapes --root /data/cityscapes",
    "data prepare pascal_context --from /raw/PASCAL_MT.tgz --root /data/pascal_context",
    more=(
        "What each dataset needs, where its owner keeps it, and what is written:",
        *help_lines(),
        "What exactly is done to the images and labels: docs/data.md.",
    ),
)


@data.command(epilog=PREPARE)
def prepare(
    name: Annotated[str, typer.Argument(metavar="NAME", help="nyuv2, cityscapes or pascal_context.")],
    sources: Annotated[
        list[Path],
        option("The archive, file or folder you downloaded. Repeatable.", "--from", metavar="PATH"),
    ],
    root: RootOption,
    workers: Annotated[int | None, option("Threads. Default: the cores.", min=1, max=64)] = None,
    class_map: Annotated[
        Path | None, option("nyuv2: classMapping40.mat. Default: beside the source.", metavar="FILE")
    ] = None,
    splits: Annotated[
        Path | None,
        option("nyuv2: splits.mat. Default: the public 795 / 654, built in.", metavar="FILE"),
    ] = None,
    allow_missing: Annotated[
        bool,
        option(
            "cityscapes: leave out images that lack a file, instead of refusing. Every plan and report says "
            "so.",
            "--allow-missing",
        ),
    ] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Bring a dataset's own archives into the layout that is trained on.

    Nothing is downloaded. A stopped call goes on when it is given again.
    """
    from tabench.data.prepare import Request
    from tabench.data.prepare import prepare as run
    from tabench.provenance.environment import usable_cores
    from tabench.text import bytes_text

    threads = workers or min(usable_cores(), 8)
    with progress_bar(f"preparing {name}") as progress:
        asked = Request(tuple(sources), root, threads, class_map, splits, allow_missing, progress)
        outcome = run(name, asked)
    if as_json:
        print_json({"root": str(root), **vars(outcome)})
        return
    for note in outcome.notes:
        tell("note", note)
    typer.echo(
        f"{_counts(outcome.counts)}; {outcome.written} files written, {outcome.kept} were there, "
        f"{bytes_text(outcome.bytes)} in {root}"
    )
    typer.echo(f"check it: tabench data verify {name} --root {root}")
