"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tabench.errors import SpecError
from tabench.provenance.environment import DEVICES, check_device
from tabench.text import suggestion

if TYPE_CHECKING:
    from tabench.runs.plan import Plan

RESULTS = Path("results")
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
    typer.Option("--device", metavar="NAME", rich_help_panel=HOW, help=f"{DEVICES}.", callback=check_device),
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
    found = (file for folder in reversed(folders) for file in sorted(folder.glob("[!.]*.toml")))
    known = {file.stem: file for file in found}
    if text in known:
        return known[text]
    raise SpecError(f"no experiment '{text}'", hint=f"{suggestion(text, known)}; or give a .toml file")


@dataclass(frozen=True)
class Asked:
    """The options that choose an experiment's cells, their data and weights, and where results are kept.

    Attributes:
        experiment: A file or a name; see `find_experiment`.
        profile: Profile of the file; None chooses.
        overrides: "KEY=VALUE" changes of the profile.
        select: "KEY=A,B" filters of cells.
        shard: "I/N".
        data_root: Folder of the data.
        checkpoint: File of SAM's weights.
        results: The results folder.
    """

    experiment: ExperimentArgument
    profile: ProfileOption = None
    overrides: SetOption = None
    select: SelectOption = None
    shard: ShardOption = None
    data_root: DataRootOption = None
    checkpoint: CheckpointOption = None
    results: ResultsOption = RESULTS

    def plan(self, device: str) -> Plan:
        """What these options ask for, planned for a device."""
        from tabench.runs.plan import Request, make_plan
        from tabench.runs.resolve import Sources
        from tabench.spec.experiment import load_experiment

        sources = Sources(self.data_root, self.checkpoint, tuple(self.overrides or ()))
        wanted = Request(self.profile, sources, tuple(self.select or ()), self.shard, self.results, device)
        return make_plan(load_experiment(find_experiment(self.experiment)), wanted)


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command, whose first parameter is an `Asked`, the single options of it on the command line."""
    shared = inspect.signature(Asked, eval_str=True).parameters
    _, *own = inspect.signature(command, eval_str=True).parameters.values()
    named = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in (*shared.values(), *own)]

    @functools.wraps(command)
    def spread(**given: Any) -> None:
        asked = Asked(**{name: given.pop(name) for name in shared})
        command(asked, **given)

    spread.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    return spread
