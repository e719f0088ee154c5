"""Printing: tables and messages for people, JSON for scripts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from tabench.errors import TabenchError
from tabench.text import inert

if TYPE_CHECKING:
    from rich.console import Console

    from tabench.provenance.files import Progress
    from tabench.runs.executor import Outcome

MANY = 200  # rows from which on a table is printed without rich
COLOURS = {
    **dict.fromkeys(("ok", "done", "identical", "equal"), "green"),
    **dict.fromkeys(("note", "busy", "partial", "interrupted", "undecided", "missing"), "yellow"),
    **dict.fromkeys(("queued", "submitted"), "blue"),
    "running": "cyan",
    **dict.fromkeys(("failed", "different"), "red"),
}


def console(*, stderr: bool = False) -> Console:
    """A console on standard output or standard error."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


def say(text: str, *, err: bool = False) -> None:
    """Print what files, other programs and people wrote: shown, never obeyed."""
    typer.echo(inert(text), err=err)


def tell(word: str, text: str, *, err: bool = False) -> None:
    """Print a text after a word in its colour, red where it has none: "note: ", "wrong: ", "error: "."""
    typer.secho(f"{word}: ", fg=COLOURS.get(word, "red"), bold=err, nl=False, err=err)
    say(text, err=err)


def note(text: str) -> None:
    """Print a remark on standard error."""
    tell("note", text, err=True)


def print_json(value: object) -> None:
    """Print a value as JSON for a script."""
    from tabench.store.encoding import dumps

    typer.echo(dumps(value), nl=False)


def print_table(heads: Sequence[str], rows: Iterable[Sequence[str]], *, state: int | None = None) -> None:
    """Print a table; column `state` is coloured by its word."""
    shown = [[inert(text) for text in row] for row in rows]
    if len(shown) > MANY:
        _print_many([list(heads), *shown], state)
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(*heads, box=None, pad_edge=False, header_style="bold")
    for row in shown:
        table.add_row(
            *(Text(text, COLOURS.get(text, "") if n == state else "") for n, text in enumerate(row))
        )
    screen = console()
    if not screen.is_terminal:
        screen.width = max(screen.width, 160)  # a log has no edge to wrap at
    screen.print(table)


def _print_many(rows: list[list[str]], state: int | None) -> None:
    """The same table, without wrapping long texts: rich needs half a millisecond a row."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = [text.ljust(width) for text, width in zip(row, widths, strict=True)]
        if state is not None and row[state] in COLOURS:
            cells[state] = typer.style(cells[state], fg=COLOURS[row[state]])
        lines.append(" ".join(cells).rstrip())
    typer.echo("\n".join(lines))


def print_traces(results: Path, outcomes: Iterable[Outcome]) -> None:
    """Print on standard error where each failed cell failed, in whichever process that was (--debug)."""
    for job in (outcome.job for outcome in outcomes if outcome.state == "failed"):
        failure = job.folder(results).read_failure()
        say(f"{job.label}: {failure.get('traceback') or 'its traceback could not be kept'}", err=True)


@contextmanager
def progress_bar(title: str) -> Iterator[Progress]:
    """A progress callback that draws a bar on standard error, if that is a terminal."""
    from rich.progress import Progress as Bar

    with Bar(console=console(stderr=True), transient=True) as bar:
        job = bar.add_task(title, total=None)

        def update(done: int, total: int, what: str) -> None:
            bar.update(job, completed=done, total=total)

        yield update


def print_error(error: TabenchError) -> None:
    """Print one message on standard error."""
    tell("error", str(error), err=True)
