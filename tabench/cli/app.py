"""The typer application that commands are added to, and what their help texts share."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tabench import __version__

HELP = {"help_option_names": ["-h", "--help"]}
# the order of work; a command that is missing here comes last
ORDER = ("plan", "run", "status", "watch", "cancel", "report", "compare", "margins", "evaluate", "data",
         "store", "export", "convert", "list", "describe", "bench", "pretrain", "doctor")  # fmt: skip


def examples(*commands: str, more: str | tuple[str, ...] = ()) -> str:
    """The text under a command's help: example commands, then sentences."""
    sentences = [more] if isinstance(more, str) else more
    return "\n\n".join(["Examples:", *(f"  tabench {command}" for command in commands), *sentences])


class InOrder(TyperGroup):
    """Lists commands in the order of work, whichever module was imported first."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Names of the commands."""
        names = super().list_commands(ctx)
        return sorted(names, key=lambda name: ORDER.index(name) if name in ORDER else len(ORDER))


app = typer.Typer(
    name="tabench",
    cls=InOrder,
    help="Does adapting SAM to several dense tasks work, and can it be reproduced?",
    epilog=examples(
        "plan experiments/nyuv2.toml            what would run, why, and how long it takes",
        "run experiments/nyuv2.toml --report    train, evaluate, write reports/nyuv2/index.html",
        "run nyuv2 --select method=ta-lora,lora-hps --select seed=0",
        "run nyuv2 --profile paper --data-root /data/nyuv2 --shard 1/4",
        "status nyuv2 --json                    the same, for a script",
        "describe ta-lora --backbone vit_l --channels 13,1,3",
        more="A stopped run resumes when the same command is given again.",
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings=HELP,
)


def group(name: str, text: str) -> typer.Typer:
    """A command that has commands of its own."""
    found = typer.Typer(help=text, no_args_is_help=True, context_settings=HELP)
    app.add_typer(found, name=name)
    return found


def _version(asked: bool) -> None:
    if asked:
        typer.echo(f"tabench {__version__}")
        raise typer.Exit


@app.callback()
def shared(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", help="Show the traceback of an error or a failed cell; may stand anywhere."),
    ] = False,
) -> None:
    """Options of every command."""
