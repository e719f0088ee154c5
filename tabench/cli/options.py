"""Arguments and options that several commands share."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
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


def option(text: str, *names: str, panel: str | None = None, **more: Any) -> Any:
    """An option with its help text; `names` where the parameter has another one."""
    return typer.Option(*names, help=text, rich_help_panel=panel, **more)


_what, where = functools.partial(option, panel=WHAT), functools.partial(option, panel=WHERE)
how = functools.partial(option, panel=HOW)

ExperimentArgument = Annotated[
    str, typer.Argument(metavar="EXPERIMENT", help="A TOML file, or the name of one in experiments/.")
]
FinishedArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[EXPERIMENT]...", help="Default: all with a finished cell.", show_default=False),
]
ResultsOption = Annotated[Path, where("Where results are kept.", "--results", metavar="DIR")]
JsonOption = Annotated[bool, option("Print JSON for a script.", "--json")]
DeviceOption = Annotated[str, how(f"{DEVICES}.", "--device", metavar="NAME", callback=check_device)]
BackboneOption = Annotated[str, option("See `tabench list backbones`.", metavar="NAME")]


def find_experiment(text: str) -> Path:
    """The file that an EXPERIMENT argument means. Raises SpecError: there is none; names the nearest."""
    path = Path(text)
    if path.suffix == ".toml" or path.is_file():
        return path
    folders = [Path("experiments"), Path(__file__).parents[2] / "experiments"]
    found = (file for folder in reversed(folders) for file in sorted(folder.glob("[!.]*.toml")))
    known = {file.stem: file for file in found}
    if text in known:
        return known[text]
    raise SpecError(f"no experiment '{text}'", hint=f"{suggestion(text, known)} (or give a .toml file)")


def experiment_name(text: str) -> str:
    """The name that results are kept under: the file's, or the text itself for results without a file."""
    from tabench.spec.experiment import load_experiment

    try:
        path = find_experiment(text)
    except SpecError:
        return text
    return load_experiment(path, names=False).name


@dataclass(frozen=True)
class Asked:
    """The options that choose an experiment's cells, their data and weights, and where results are kept."""

    experiment: ExperimentArgument
    profile: Annotated[
        str | None,
        _what(
            "Profile of the file. Default: paper if its data and weights are found, else demo.",
            metavar="NAME",
        ),
    ] = None
    overrides: Annotated[
        list[str] | None,
        _what(
            "Change a key of the profile: train.epochs=2, methods.lora-stl.rank=8. Repeatable.",
            "--set",
            metavar="KEY=VALUE",
        ),
    ] = None
    select: Annotated[
        list[str] | None,
        _what("Keep cells by method, balancing, seed or id. Repeatable; all must hold.", metavar="KEY=A,B"),
    ] = None
    shard: Annotated[str | None, _what("Every N-th cell from the I-th on.", metavar="I/N")] = None
    data_root: Annotated[
        Path | None,
        where(
            "Folder with train/ and val/, or with a folder named like the dataset. Default: $TABENCH_DATA.",
            metavar="DIR",
        ),
    ] = None
    checkpoint: Annotated[
        Path | None,
        where("SAM's weights. Default: $TABENCH_CHECKPOINTS, then the shipped ones.", metavar="FILE"),
    ] = None
    results: ResultsOption = RESULTS

    def plan(self, device: str) -> Plan:
        """What these options ask for, planned for a device."""
        from tabench.runs.plan import make_plan
        from tabench.runs.resolve import Request
        from tabench.spec.experiment import load_experiment

        wanted = Request(
            self.profile,
            self.data_root,
            self.checkpoint,
            tuple(self.overrides or ()),
            tuple(self.select or ()),
            self.shard,
            self.results,
            device,
        )
        return make_plan(load_experiment(find_experiment(self.experiment)), wanted)


@dataclass(frozen=True)
class How:
    """The options of how cells run, named as in `runs.executor.Options`; none of them is part of a cell."""

    executor: Annotated[
        str,
        how(
            "See `tabench list executors`; auto is pool where cells side by side are faster.", metavar="NAME"
        ),
    ] = "auto"
    workers: Annotated[int, how("Cells at a time (pool); 0 = one a GPU, else one a core.", min=0)] = 0
    processes: Annotated[
        int,
        how(
            "Processes of one cell (torchrun), each with a GPU or a share of the cores. They divide each "
            "batch's images: the effective batch, the recipe and the cell's id stay.",
            min=1,
        ),
    ] = 1
    device: DeviceOption = "auto"
    threads: Annotated[int, how("CPU threads of a cell, of each of its processes; 0 = its share.", min=0)] = 0
    micro_batch: Annotated[
        int,
        how(
            "Images per forward pass: less memory, same effective batch. 0 = chosen by the input size.", min=0
        ),
    ] = 0
    tasks_apart: Annotated[
        bool,
        how(
            "One task after the other in a step: a T-th of the memory. Always so at 1024 pixels.",
            "--tasks-apart",
        ),
    ] = False
    recompute: Annotated[
        bool,
        how("Activation checkpointing in the encoder: less memory, about a third more time.", "--recompute"),
    ] = False
    compiled: Annotated[
        bool, how("Encoder blocks through torch.compile; the first step is slow.", "--compile")
    ] = False
    checkpoint_seconds: Annotated[float, how("Seconds between checkpoints.", "--checkpoint-every", min=0)] = (
        60.0
    )
    keep_weights: Annotated[bool, how("Keep trained parameters.", "--keep-weights")] = False
    pack: Annotated[
        bool | None,
        how(
            "Read images from a packed copy in the cache. Default: where it takes little of the disk.",
            "--pack/--no-pack",
        ),
    ] = None


def spread(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the single options of its parameters that are groups of them (`Asked`, `How`)."""
    groups: dict[str, type[Any]] = {}
    parts: dict[str, list[str]] = {}
    named: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command, eval_str=True).parameters.items():
        kind = parameter.annotation
        if is_dataclass(kind) and isinstance(kind, type):
            fields = inspect.signature(kind, eval_str=True).parameters
            groups[name], parts[name] = kind, list(fields)
            named += fields.values()
        else:
            named.append(parameter)

    @functools.wraps(command)
    def called(**given: Any) -> None:
        held = {name: kind(**{key: given.pop(key) for key in parts[name]}) for name, kind in groups.items()}
        command(**held, **given)

    keywords = [each.replace(kind=inspect.Parameter.KEYWORD_ONLY) for each in named]
    called.__signature__ = inspect.Signature(keywords)  # type: ignore[attr-defined]
    return called
