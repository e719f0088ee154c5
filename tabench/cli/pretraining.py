"""``tabench pretrain``: make the shipped small SAM again."""

from __future__ import annotations

from dataclasses import replace
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
    from tabench.store.atomic import check_writable

    check_writable(out)  # before torch is imported, let alone a model trained
    from tabench.engine.pretrain import Recipe
    from tabench.engine.pretrain import pretrain as run
    from tabench.provenance.determinism import set_determinism
    from tabench.provenance.environment import usable_cores

    recipe = Recipe()
    recipe = replace(recipe, scenes=scenes or recipe.scenes, epochs=epochs or recipe.epochs)
    workers = threads or usable_cores()
    set_determinism(recipe.seed, workers)
    card = run(recipe, out, workers=workers, say=lambda line: typer.echo(line, err=as_json))
    if as_json:
        print_json(card)
    else:
        typer.echo(f"{out / 'sam_vit_nano.safetensors'}, sha256 {card['sha256']}")
