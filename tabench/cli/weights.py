"""``tabench weights``: checkpoints of SAM as others saved them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.output import print_json, say
from tabench.errors import SpecError

weights = typer.Typer(
    help="Convert checkpoints of SAM that others saved.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(weights, name="weights")


@weights.callback()
def _group() -> None:
    """Keep the command's own name, although it is the only one."""


@weights.command(
    epilog="Examples:\n\n  tabench weights convert tuned.pth --backbone vit_b --base sam_vit_b_01ec64.pth "
    "--out tuned.safetensors\n\n  tabench weights convert both.pth --backbone vit_b --key teacher "
    "--out teacher.safetensors"
)
def convert(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint: .pth, .bin, .safetensors.")],
    backbone: Annotated[str, typer.Option(metavar="NAME", help="See `tabench list backbones`.")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="Where the .safetensors file goes.")],
    key: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Which one, where the file holds weights of SAM several times."),
    ] = None,
    base: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A whole checkpoint, for what the file misses: fine-tuned ones "
            "often lack the prompt encoder.",
        ),
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Leave out keys that are no part of SAM.")] = False,
    as_json: options.JsonOption = False,
) -> None:
    """Write a checkpoint of SAM under SAM's own keys, and check it.

    Most need none: wrappers, prefixes, the hub's names and SAM-HQ's head are known wherever weights are read.
    """
    from safetensors.torch import save

    from tabench.catalog import BACKBONES
    from tabench.sam.checkpoint import checkpoint_sha256
    from tabench.sam.checkpoint import convert as run
    from tabench.store.atomic import write_bytes

    if out.exists():
        raise SpecError("is there already", where=str(out), hint="choose another name, or remove it")
    found, notes = run(BACKBONES.get(backbone, where="--backbone"), file, key=key, base=base, drop=drop)
    tensors = {name: value.detach().contiguous() for name, value in found.items()}
    write_bytes(out, save(tensors, metadata={"format": "pt"}))
    digest = checkpoint_sha256(out)
    if as_json:
        print_json({"out": str(out), "backbone": backbone, "notes": notes, "sha256": digest})
        return
    for note in notes:
        say(note)
    say(f"{out}: {len(tensors)} tensors of {backbone}, sha256 {digest}")
