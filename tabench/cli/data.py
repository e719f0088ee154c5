"""``tabench data``: check datasets and write synthetic ones; `preparing` adds ``prepare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.output import print_json, progress_bar, say
from tabench.errors import SpecError

data = typer.Typer(
    help="Check datasets, prepare them from their archives, write synthetic ones.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(data, name="data")
RootOption = Annotated[Path, typer.Option("--root", metavar="DIR", help="The dataset's folder.")]


@data.command(epilog="Examples:\n\n  tabench data verify nyuv2 --root /data/nyuv2")
def verify(
    name: Annotated[str, typer.Argument(metavar="NAME", help="See `tabench list datasets`.")],
    root: RootOption,
    as_json: options.JsonOption = False,
) -> None:
    """Read every file of a dataset and name the wrong ones. Exit code 1 if there are any."""
    from tabench.catalog import DATASETS
    from tabench.provenance.code import code_of
    from tabench.runs.packs import check_packs

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
        content = {
            "root": str(found.root),
            "counts": found.counts,
            "problems": found.problems,
            "warnings": found.warnings,
            "facts": found.facts,
            "fingerprint": found.fingerprint,
            "packs": packs,
        }
        print_json(content)
    else:
        for line in found.problems:
            typer.secho("wrong: ", fg="red", nl=False)
            say(line)
        for line in found.warnings:
            typer.secho("note: ", fg="yellow", nl=False)
            say(line)
        if any(found.counts.values()):
            for key, value in found.facts.items():
                say(f"{key}: {value}")
        else:
            typer.echo(f"nothing to read in {root}; get it: {dataset.download}")
        counts = ", ".join(f"{split} {count}" for split, count in found.counts.items()) or "no images"
        typer.echo(f"{counts}; {len(found.problems)} problem(s)")
        if found.fingerprint:
            typer.echo(f"fingerprint {found.fingerprint}")
        for line in packs:
            typer.echo(line)
    if found.problems:
        raise typer.Exit(1)


@data.command(
    "make-scenes", epilog="Examples:\n\n  tabench data make-scenes --root /data/scenes --train 64 --val 32"
)
def make_scenes(
    root: RootOption,
    dataset: Annotated[
        str, typer.Option(metavar="NAME", help="A synthetic dataset; see `tabench list datasets`.")
    ] = "scenes",
    seed: Annotated[int, typer.Option(min=0, help="Seed of all images.")] = 0,
    train: Annotated[int, typer.Option(min=1, help="Images of train.")] = 64,
    val: Annotated[int, typer.Option(min=1, help="Images of val.")] = 32,
    height: Annotated[int, typer.Option(min=16, help="Pixels.")] = 96,
    width: Annotated[int, typer.Option(min=16, help="Pixels.")] = 128,
) -> None:
    """Write a synthetic dataset with exact targets, in the layout of the real one it stands in for."""
    from tabench.catalog import DATASETS

    found = DATASETS.get(dataset, where="--dataset")
    if not found.synthetic:
        known = [name for name in DATASETS.names() if DATASETS.get(name).synthetic]
        raise SpecError(
            f"'{dataset}' is no synthetic dataset", where="--dataset", hint=f"known: {', '.join(known)}"
        )
    sizes = {"seed": seed, "train": train, "val": val, "height": height, "width": width}
    with progress_bar(f"generating {dataset}") as progress:
        found.make(root, progress=progress, **sizes)
    typer.echo(
        f"{train} + {val} synthetic images of {height}x{width} in {root}, "
        f"fingerprint {found.recipe_fingerprint(**sizes)}"
    )
