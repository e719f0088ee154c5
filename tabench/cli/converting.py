"""``tabench convert``: weights that other programs wrote, under the names that are read here."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.listing import channels_of
from tabench.cli.output import print_json, say
from tabench.errors import SpecError

convert = typer.Typer(
    help="Bring weights that other programs wrote under the names that are read here.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(convert, name="convert")

EXAMPLES = "\n\n".join(
    [
        "Examples:",
        "  tabench convert released trained.pth --channels segmentation=13,depth=1,normals=3",
        "The file is what torch.save(model.state_dict()) wrote; docs/methods.md says how to load the result.",
    ]
)


@convert.command(epilog=EXAMPLES)
def released(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.pth", exists=True, dir_okay=False, help="A state dict of the released code."
        ),
    ],
    channels: Annotated[
        str, typer.Option(metavar="NAME=N,...", help="Tasks and channels, in the order they were trained in.")
    ],
    backbone: Annotated[str, typer.Option(metavar="NAME", help="See `tabench list backbones`.")] = "vit_l",
    checkpoint: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", help="SAM's own weights, which it was trained from.", show_default=False
        ),
    ] = None,
    targets: Annotated[
        str, typer.Option(metavar="qkv", help="What was adapted: a choice of q, k, v.")
    ] = "qkv",
    out: Annotated[Path, typer.Option(metavar="FILE.safetensors", help="What is written.")] = Path(
        "weights-all.safetensors"
    ),
    as_json: options.JsonOption = False,
) -> None:
    """Convert weights that the successor's released code has trained (its ToRA, `ta-lora` here).

    Every key is checked: nothing may be missing or left over, and what the code does not train must be SAM's.
    """
    from tabench.catalog import BACKBONES, TASKS
    from tabench.store.atomic import write_bytes

    tasks = channels_of(channels)
    for name in tasks:
        TASKS.entry(name, where="--channels")
    geometry = BACKBONES.get(backbone, where="--backbone")
    _check_out(out)
    from safetensors.torch import save  # imports torch: what is wrong with the words was told

    from tabench.encoders.sam.checkpoint import find_checkpoint, load_checkpoint, read_state
    from tabench.engine.released import convert_released

    fix = "give what torch.save(model.state_dict()) wrote"
    state = read_state(file, "weights of the released code", fix)
    sam = load_checkpoint(geometry, find_checkpoint(geometry, checkpoint))
    found = convert_released(state, geometry, tasks, sam, targets=targets, where=str(file))
    write_bytes(out, save(found.trained, metadata={"format": "pt"}))
    count = sum(tensor.numel() for tensor in found.trained.values())
    if as_json:
        params = {
            key: list(value) if isinstance(value, tuple) else value for key, value in found.params.items()
        }
        print_json({"out": str(out), "params": params, "parameters": count, "unused": found.unused})
        return
    said = ", ".join(f"{key} = {value}" for key, value in found.params.items())
    typer.echo(f"{out}: {count:,} trained parameters of ta-lora, {said}")
    typer.echo(
        f"all {len(state)} keys are accounted for; {len(found.unused)} of SAM's prompt encoder are not used"
    )
    typer.echo("the update's scale is not in the file: the released script's is 0.5, as here by default")


@convert.command(
    epilog="Examples:\n\n  tabench convert sam tuned.pth --backbone vit_b --base sam_vit_b_01ec64.pth "
    "--out tuned.safetensors\n\n  tabench convert sam both.pth --backbone vit_b --key teacher "
    "--out teacher.safetensors"
)
def sam(
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
    from tabench.catalog import BACKBONES
    from tabench.store.atomic import write_bytes

    geometry = BACKBONES.get(backbone, where="--backbone")
    _check_out(out)
    from safetensors.torch import save  # imports torch: what is wrong with the words was told

    from tabench.encoders.sam.checkpoint import checkpoint_sha256
    from tabench.encoders.sam.checkpoint import convert as run

    found, notes = run(geometry, file, key=key, base=base, drop=drop)
    tensors = {name: value.detach().contiguous() for name, value in found.items()}
    write_bytes(out, save(tensors, metadata={"format": "pt"}))
    digest = checkpoint_sha256(out)
    if as_json:
        print_json({"out": str(out), "backbone": backbone, "notes": notes, "sha256": digest})
        return
    for note in notes:
        say(note)
    say(f"{out}: {len(tensors)} tensors of {backbone}, sha256 {digest}")


def _check_out(out: Path) -> None:
    """Refuse a file that is there, or that cannot be written, before minutes of reading."""
    from tabench.store.atomic import check_writable

    if out.exists():
        raise SpecError("is there already", where=str(out), hint="choose another name, or remove it")
    check_writable(out.parent)
