"""The typer application that commands are added to."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from tabench import __version__

EXAMPLES = "\n\n".join(
    [
        "Examples:",
        "  tabench plan experiments/nyuv2.toml            what would run, why, and how long it takes",
        "  tabench run experiments/nyuv2.toml --report    train, evaluate, write reports/nyuv2/index.html",
        "  tabench run nyuv2 --select method=ta-lora,lora-hps --select seed=0",
        "  tabench run nyuv2 --profile paper --data-root /data/nyuv2 --shard 1/4",
        "  tabench status nyuv2 --json                    the same, for a script",
        "  tabench describe ta-lora --backbone vit_l --channels 13,1,3",
        "A stopped run resumes when the same command is given again.",
    ]
)

# the order of work; a command that is missing here comes last
ORDER = ("plan", "run", "status", "watch", "cancel", "report", "evaluate", "data", "store", "export",
         "convert", "list", "describe", "bench", "pretrain", "doctor")  # fmt: skip


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
    epilog=EXAMPLES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


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
