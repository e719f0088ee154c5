"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from tabench.errors import SpecError
from tabench.registry import nearest

if TYPE_CHECKING:
    from tabench.runs.plan import Request

WHAT, WHERE, HOW = "What runs", "Where things are", "How it runs"

ExperimentArgument = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", help="A TOML file, or the name of one in experiments/.")
]
ProfileOption = Annotated[
    str | None,
    typer.Option(
        "--profile",
        metavar="NAME",
        rich_help_panel=WHAT,
        help="Profile of the file. Default: paper if its data and weights are found, else demo.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        rich_help_panel=WHAT,
        help="Change a key of the profile: train.epochs=2, methods.lora-stl.rank=8. Repeatable.",
    ),
]
SelectOption = Annotated[
    list[str] | None,
    typer.Option(
        "--select",
        metavar="KEY=A,B",
        rich_help_panel=WHAT,
        help="Keep cells by method, seed or id. Repeatable; all must hold.",
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option("--shard", metavar="I/N", rich_help_panel=WHAT, help="Every N-th cell from the I-th on."),
]
DataRootOption = Annotated[
    Path | None,
    typer.Option(
        "--data-root",
        metavar="DIR",
        rich_help_panel=WHERE,
        help="Folder with train/ and val/, or with a folder named like the dataset. Default: $TABENCH_DATA.",
    ),
]
CheckpointOption = Annotated[
    Path | None,
    typer.Option(
        "--checkpoint",
        metavar="FILE",
        rich_help_panel=WHERE,
        help="SAM's weights. Default: $TABENCH_CHECKPOINTS, then the shipped ones.",
    ),
]
ResultsOption = Annotated[
    Path, typer.Option("--results", metavar="DIR", rich_help_panel=WHERE, help="Where results are kept.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON for a script.")]
DeviceOption = Annotated[
    str,
    typer.Option("--device", metavar="NAME", rich_help_panel=HOW, help="auto, cpu, cuda or cuda:1."),
]


def find_experiment(text: str) -> Path:
    """The file that an EXPERIMENT argument means.

    Raises:
        SpecError: There is none; names the nearest.
    """
    path = Path(text)
    if path.suffix == ".toml" or path.is_file():
        return path
    folders = [Path("experiments"), Path(__file__).parents[2] / "experiments"]
    known = {file.stem: file for folder in reversed(folders) for file in sorted(folder.glob("*.toml"))}
    if text in known:
        return known[text]
    close = nearest(text, known)
    hint = (
        f"did you mean '{close}'?" if close else f"known: {', '.join(known) or 'none'}; or give a .toml file"
    )
    raise SpecError(f"no experiment '{text}'", hint=hint)


def request(
    *,
    profile: str | None,
    data_root: Path | None,
    checkpoint: Path | None,
    overrides: list[str] | None,
    select: list[str] | None,
    shard: str | None,
    results: Path,
    device: str,
) -> Request:
    """The shared options as a plan's request."""
    from tabench.runs.plan import Request
    from tabench.runs.resolve import Sources

    sources = Sources(data_root, checkpoint, tuple(overrides or ()))
    return Request(profile, sources, tuple(select or ()), shard, results, device)
