"""``tabench pretrain``: make the shipped small SAM again."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.output import print_json


@app.command(
    epilog="Examples:\n\n  tabench pretrain --out weights\n\n"
    "  tabench pretrain --scenes 64 --epochs 1   a quick look"
)
def pretrain(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Where weights, recipe and log go.")] = Path(
        "weights"
    ),
    scenes: Annotated[int | None, typer.Option(min=8, help="Training scenes. Default: the recipe's.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Default: the recipe's.")] = None,
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: all cores.")] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Pretrain sam_vit_nano on SAM's promptable objective over synthetic scenes kept apart for it."""
    from tabench.catalog import PRETRAINING
    from tabench.store.atomic import check_writable

    check_writable(out)  # before torch is imported, let alone a model trained
    run = PRETRAINING.get("sam_vit_nano")
    say = partial(typer.echo, err=as_json)
    card = run(out, threads=threads, say=say, scenes=scenes, epochs=epochs)
    if as_json:
        print_json(card)
    else:
        typer.echo(f"{out / 'sam_vit_nano.safetensors'}, sha256 {card['sha256']}")
