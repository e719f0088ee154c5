"""``tabench list`` and ``tabench describe``."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated, Any

import typer

from tabench.cli import options
from tabench.cli.app import app, examples
from tabench.cli.options import option
from tabench.cli.output import print_json, print_table
from tabench.errors import SpecError


class Kind(enum.StrEnum):
    """What can be listed."""

    METHODS = "methods"
    BALANCERS = "balancers"
    TASKS = "tasks"
    DATASETS = "datasets"
    BACKBONES = "backbones"
    EXECUTORS = "executors"


@app.command("list", epilog=examples("list methods", "list datasets --json"))
def list_(
    kind: Annotated[Kind, typer.Argument(help="What to list.")], as_json: options.JsonOption = False
) -> None:
    """List what is registered, by this package and by others."""
    from tabench import catalog

    entries = getattr(catalog, kind.value.upper()).entries()
    if as_json:
        print_json([{"name": e.name, "summary": e.summary, "source": e.source} for e in entries])
    else:
        print_table(["name", "summary", "from"], ([e.name, e.summary, e.source] for e in entries))


@app.command(
    epilog=examples(
        "describe ta-lora --backbone vit_l --channels 13,1,3",
        "describe lora-stl --backbone vit_b --channels 7,1 --set rank=8 --json",
        "describe ta-lora --channels segmentation=13,depth=1,normals=3 --figures figures",
    )
)
def describe(
    method: Annotated[str, typer.Argument(metavar="METHOD", help="See `tabench list methods`.")],
    backbone: options.BackboneOption = "vit_l",
    channels: Annotated[
        str, option("Decoder channels of each task, or NAME=N,NAME=N,...", metavar="N,N,...")
    ] = "13,1,3",
    overrides: Annotated[
        list[str] | None, option("A hyper-parameter. Repeatable.", "--set", metavar="KEY=VALUE")
    ] = None,
    balancing: Annotated[
        str, option("Say what it needs; see `tabench list balancers`.", metavar="NAME")
    ] = "equal",
    figures: Annotated[
        Path | None,
        option("Draw figures 2 and 3 of a task-aware method there, as PDF and PNG.", metavar="DIR"),
    ] = None,
    as_json: options.JsonOption = False,
) -> None:
    """Print a method's hyper-parameters and its parameters by group; needs no weights and no data."""
    from tabench.catalog import BACKBONES, BALANCERS, METHODS
    from tabench.spec.options import parse_set
    from tabench.store.atomic import check_writable
    from tabench.text import bytes_text

    tasks = channels_of(channels)
    geometry = BACKBONES.get(backbone, where="--backbone")
    found = METHODS.get(method)
    given = [parse_set(text) for text in overrides or ()]
    params = found.params({path[-1]: value for path, value in given}, where="--set")
    balanced = BALANCERS.get(balancing, where="--balancing")
    if figures is not None:
        check_writable(figures)
    from tabench.engine.describe import describe as describe_method  # imports torch: what is wrong was told

    described = describe_method(found, geometry, tasks, params)
    facts = described["all"]
    copies = 4 * len(tasks) * described["shared"] if "gradients" in balanced.asks else 0  # in fp32
    drawn: list[Path] = []
    if figures is not None:
        lora = describe_method(METHODS.get("lora-stl"), geometry, tasks)["architecture"]
        drawn = _draw(figures, described["architecture"], lora)
    if as_json:
        content = {
            "method": found.name,
            "title": found.title,
            "sharing": found.sharing,
            "params": params,
            "backbone": backbone,
            "channels": list(tasks.values()),
            "balancing": {
                "name": balanced.name,
                "title": balanced.title,
                "params": dict(balanced.defaults),
                "asks": list(balanced.asks),
                "gradient_copies_bytes": copies,
            },
            "parameters": facts,
            "models": described["per_model"],
            "unused_prompt_encoder": described["unused_prompt_encoder"],
            "architecture": described["architecture"],
            "figures": [str(path) for path in drawn],
        }
        print_json(content)
        return
    typer.echo(f"{found.title} ({found.sharing}) on {backbone}, channels {channels}")
    typer.echo("  " + ", ".join(f"{key} = {value}" for key, value in params.items()) + "\n")
    rows = [[f"  {name}", f"{n:,}"] for name, n in facts["groups"].items()]
    rows += [[name, f"{facts[name]:,}"] for name in ("total", "trained", "idle", "frozen")]
    print_table(["parameters", "count"], rows)
    if facts["idle"]:
        typer.echo(f"\nidle (no gradient ever reaches them): {', '.join(facts['idle_names'])}")
    whole = facts["total"] + described["unused_prompt_encoder"]
    typer.echo(f"total with SAM's prompt encoder, which mSAM does not use: {whole:,}")
    if balancing != "equal":
        given_params = ", ".join(f"{key} = {value}" for key, value in balanced.defaults.items())
        typer.echo(f"\nbalanced by {balanced.title}{f' ({given_params})' if given_params else ''}")
        typer.echo(f"  asks for {', '.join(balanced.asks) or 'nothing of a step'}")
        typer.echo(
            f"  {bytes_text(copies)} of gradients beside those of the step, a copy a task of {len(tasks)}"
        )
    for file in drawn:
        typer.echo(f"wrote {file}")


def channels_of(text: str) -> dict[str, int]:
    """Task name to channels; tasks without a name are numbered."""
    hint = "for example 13,1,3 or segmentation=13,depth=1"
    found: dict[str, int] = {}
    for number, part in enumerate(text.split(","), 1):
        name, named, count = part.strip().rpartition("=")
        name = name.strip() if named else f"task{number}"
        if not count.strip().isdecimal() or not name.isidentifier() or name in found:
            raise SpecError(f"'{text}' is not a list of numbers", where="--channels", hint=hint)
        found[name] = int(count)
    if min(found.values()) < 1:
        raise SpecError("every task has at least one channel", where="--channels", hint=hint)
    return found


def _draw(folder: Path, architecture: dict[str, Any], lora: dict[str, Any]) -> list[Path]:
    """Write the diagrams that need no run; Figure 3 has LoRA-STL at its default rank beside the method."""
    from tabench.report.figures import style
    from tabench.report.figures.paper_figures import diagrams
    from tabench.report.records.architecture import Architecture
    from tabench.store.atomic import write_bytes

    found = diagrams([Architecture.model_validate(part) for part in (lora, architecture)])
    if not found:
        raise SpecError(
            f"there is no diagram of '{architecture['method']['name']}'",
            where="--figures",
            hint="methods with Tucker or CP factors for all tasks have one: ta-lora, ta-lora-cp",
        )
    written = []
    for stem, (_, draw) in found.items():
        files = style.drawn(draw, page=False)
        for suffix, content in (("pdf", files.pdf), ("png", files.png)):
            write_bytes(folder / f"{stem}.{suffix}", content)
            written.append(folder / f"{stem}.{suffix}")
    return written
