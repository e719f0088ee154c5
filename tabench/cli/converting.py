"""``tabench convert`` and ``tabench pretrain``: weights of other programs brought here, and the small SAM."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app, examples, group
from tabench.cli.listing import channels_of
from tabench.cli.options import option
from tabench.cli.output import print_json, say
from tabench.errors import SpecError

convert = group("convert", "Bring weights that other programs wrote under the names that are read here.")


@convert.command(
    epilog=examples(
        "convert released trained.pth --channels segmentation=13,depth=1,normals=3",
        more="The file is what torch.save(model.state_dict()) wrote; docs/methods.md says how to load the "
        "result.",
    )
)
def released(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE.pth", exists=True, dir_okay=False, help="A state dict of the released code."
        ),
    ],
    channels: Annotated[
        str, option("Tasks and channels, in the order they were trained in.", metavar="NAME=N,...")
    ],
    backbone: options.BackboneOption = "vit_l",
    checkpoint: Annotated[
        Path | None,
        option("SAM's own weights, which it was trained from.", metavar="PATH", show_default=False),
    ] = None,
    targets: Annotated[str, option("What was adapted: a choice of q, k, v.", metavar="qkv")] = "qkv",
    out: Annotated[Path, option("What is written.", metavar="FILE.safetensors")] = Path(
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

    from tabench.encoders.reading import read_state
    from tabench.encoders.sam.checkpoint import load_checkpoint
    from tabench.encoders.sam.locate import find_checkpoint
    from tabench.methods.released import convert_released

    fix = "give what torch.save(model.state_dict()) wrote"
    state = read_state(file, "weights of the released code", fix)
    sam = load_checkpoint(geometry, find_checkpoint(geometry, checkpoint))
    found = convert_released(state, geometry, tasks, sam, targets=targets, where=str(file))
    write_bytes(out, save(found.trained, metadata={"format": "pt"}))
    count = sum(tensor.numel() for tensor in found.trained.values())
    if as_json:
        content = {"out": str(out), "params": found.params, "parameters": count, "unused": found.unused}
        print_json(content)
        return
    said = ", ".join(f"{key} = {value}" for key, value in found.params.items())
    typer.echo(f"{out}: {count:,} trained parameters of ta-lora, {said}")
    typer.echo(
        f"all {len(state)} keys are accounted for; {len(found.unused)} of SAM's prompt encoder are not used"
    )
    typer.echo("the update's scale is not in the file: the released script's is 0.5, as here by default")


@convert.command(
    epilog=examples(
        "convert sam tuned.pth --backbone vit_b --base sam_vit_b_01ec64.pth --out tuned.safetensors",
        "convert sam both.pth --backbone vit_b --key teacher --out teacher.safetensors",
    )
)
def sam(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A checkpoint: .pth, .bin, .safetensors.")],
    backbone: options.BackboneOption,
    out: Annotated[Path, option("Where the .safetensors file goes.", metavar="FILE")],
    key: Annotated[
        str | None, option("Which one, where the file holds weights of SAM several times.", metavar="NAME")
    ] = None,
    base: Annotated[
        Path | None,
        option(
            "A whole checkpoint, for what the file misses: fine-tuned ones often lack the prompt encoder.",
            metavar="FILE",
        ),
    ] = None,
    drop: Annotated[bool, option("Leave out keys that are no part of SAM.", "--drop")] = False,
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

    from tabench.encoders.sam.checkpoint import convert as run
    from tabench.encoders.sam.locate import checkpoint_sha256

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


@app.command(epilog=examples("pretrain --out weights", "pretrain --scenes 64 --epochs 1   a quick look"))
def pretrain(
    out: Annotated[Path, option("Where weights, recipe and log go.", metavar="DIR")] = Path("weights"),
    scenes: Annotated[int | None, option("Training scenes. Default: the recipe's.", min=8)] = None,
    epochs: Annotated[int | None, option("Default: the recipe's.", min=1)] = None,
    threads: Annotated[int | None, option("CPU threads. Default: all cores.", min=1)] = None,
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
