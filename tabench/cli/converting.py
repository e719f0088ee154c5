"""``tabench convert``: weights that the released code has trained, under this project's names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.listing import channels_of
from tabench.cli.output import print_json

EXAMPLES = "\n\n".join(
    [
        "Examples:",
        "  tabench convert trained.pth --channels segmentation=13,depth=1,normals=3",
        "The file is what torch.save(model.state_dict()) wrote; docs/methods.md says how to load the result.",
    ]
)


@app.command(epilog=EXAMPLES)
def convert(
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
    from tabench.store.atomic import check_writable, write_bytes

    tasks = channels_of(channels)
    for name in tasks:
        TASKS.entry(name, where="--channels")
    geometry = BACKBONES.get(backbone, where="--backbone")
    check_writable(out.parent)
    from safetensors.torch import save  # imports torch: what is wrong with the words was told

    from tabench.engine.released import convert_released
    from tabench.sam.checkpoint import find_checkpoint, load_checkpoint, read_state

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
