"""``tabench bench``: time and memory of a step and an evaluation."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from tabench.cli import options
from tabench.cli.app import app
from tabench.cli.output import print_json, print_table


class Precision(enum.StrEnum):
    """Precisions a step can have."""

    FP32 = "fp32"
    BF16 = "bf16"


@app.command(
    epilog="Examples:\n\n  tabench bench\n\n"
    "  tabench bench --backbone vit_b --method ta-lora --repeats 1   one step at 1024 pixels"
)
def bench(
    method: Annotated[
        list[str] | None, typer.Option(metavar="NAME", help="Method to measure. Repeatable; default: all.")
    ] = None,
    backbone: Annotated[
        str, typer.Option(metavar="NAME", help="See `tabench list backbones`.")
    ] = "sam_vit_nano",
    batch_size: Annotated[int, typer.Option(min=1, help="Images per step.")] = 1,
    repeats: Annotated[int, typer.Option(min=1, help="Timed repetitions after a warm-up.")] = 5,
    precision: Annotated[Precision, typer.Option(help="Of the forward pass.")] = Precision.FP32,
    device: options.DeviceOption = "auto",
    threads: Annotated[int | None, typer.Option(min=1, help="CPU threads. Default: all cores.")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the figures.")] = Path("results/bench"),
    as_json: options.JsonOption = False,
) -> None:
    """Time a training step and an evaluation of every method, each in a process of its own.

    Images (288x384) and weights are random; neither changes the work.
    """
    import datetime

    import torch

    from tabench.catalog import BACKBONES, METHODS
    from tabench.engine.bench import Job, measure_apart
    from tabench.engine.device import choose_device
    from tabench.provenance.environment import capture, usable_cores
    from tabench.store.atomic import write_json

    BACKBONES.entry(backbone, where="--backbone")
    names = method or METHODS.names()
    for name in names:
        METHODS.entry(name, where="--method")
    where = str(choose_device(device))
    rows = []
    for name in names:
        typer.echo(f"measuring {name} on {backbone} ...", err=True)
        job = Job(
            name,
            backbone,
            batch_size,
            repeats=repeats,
            precision=precision.value,
            device=where,
            threads=threads or usable_cores(),
        )
        rows.append(measure_apart(job))
    stamp = datetime.datetime.now(datetime.UTC).strftime("%Y%m%d-%H%M%S")
    machine = (
        torch.cuda.get_device_name(where).replace(" ", "-").lower() if where.startswith("cuda") else "cpu"
    )
    path = out / machine.replace(" ", "-").lower() / f"{backbone}-b{batch_size}-{stamp}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    content = {"environment": capture(), "figures": rows}
    write_json(path, content)
    if as_json:
        print_json(content)
        return
    cells = [
        [
            row["job"]["method"],
            f"{row['train']['median_s']:.3f}",
            f"{row['evaluate']['median_s']:.3f}",
            f"{row['peak_mb']:.0f}",
        ]
        for row in rows
    ]
    print_table(["method", "training step (s)", "evaluation (s)", "peak memory (MB)"], cells)
    typer.echo(f"medians of {repeats}; all tasks, {batch_size} image(s); written to {path}")
