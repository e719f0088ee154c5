"""Options of how cells run; none of them is part of a cell."""

from __future__ import annotations

from typing import Annotated

import typer

from tabench.cli.options import HOW

ExecutorOption = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        rich_help_panel=HOW,
        help="See `tabench list executors`; auto is pool where cells side by side are faster.",
    ),
]
WorkersOption = Annotated[
    int,
    typer.Option(min=0, rich_help_panel=HOW, help="Cells at a time (pool); 0 = one a GPU, else one a core."),
]
ProcessesOption = Annotated[
    int,
    typer.Option(
        min=1,
        rich_help_panel=HOW,
        help="Processes of one cell (torchrun), each with a GPU or a share of the cores. They divide each "
        "batch's images: the effective batch, the recipe and the cell's id stay.",
    ),
]
ThreadsOption = Annotated[
    int,
    typer.Option(
        min=0, rich_help_panel=HOW, help="CPU threads of a cell, of each of its processes; 0 = its share."
    ),
]
MicroBatchOption = Annotated[
    int,
    typer.Option(
        min=0,
        rich_help_panel=HOW,
        help="Images per forward pass: less memory, same effective batch. 0 = chosen by the input size.",
    ),
]
TasksApartOption = Annotated[
    bool,
    typer.Option(
        "--tasks-apart",
        rich_help_panel=HOW,
        help="One task after the other in a step: a T-th of the memory. Always so at 1024 pixels.",
    ),
]
RecomputeOption = Annotated[
    bool,
    typer.Option(
        "--recompute",
        rich_help_panel=HOW,
        help="Activation checkpointing in the encoder: less memory, about a third more time.",
    ),
]
CompileOption = Annotated[
    bool,
    typer.Option(
        "--compile",
        rich_help_panel=HOW,
        help="Encoder blocks through torch.compile; the first step is slow.",
    ),
]
CheckpointEveryOption = Annotated[
    float, typer.Option(min=0, rich_help_panel=HOW, help="Seconds between checkpoints.")
]
KeepWeightsOption = Annotated[
    bool, typer.Option("--keep-weights", rich_help_panel=HOW, help="Keep trained parameters.")
]
PackOption = Annotated[
    bool | None,
    typer.Option(
        "--pack/--no-pack",
        rich_help_panel=HOW,
        help="Read images from a packed copy in the cache. Default: where it takes little of the disk.",
    ),
]
