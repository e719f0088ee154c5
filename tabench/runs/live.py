"""What a person sees while cells run: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tabench import events as ev
from tabench.runs.executor import CellEvent, Job, Listener
from tabench.text import bytes_text, duration, inert

LINE_SECONDS = 10.0  # least time between two plain lines about steps
MANY = 60  # rows that are shown at a time
ORDER = ("running", "failed", "interrupted", "waiting", "done")  # of the rows, where there are more
STYLES = {"done": "green", "failed": "red", "running": "cyan", "interrupted": "yellow", "waiting": "dim"}


@contextmanager
def view_of(jobs: Sequence[Job], console: Console) -> Iterator[Listener]:
    """Show what happens inside the block: a live table on a terminal, which stays there, else plain lines."""
    view = View(jobs, console)
    if console.is_terminal:
        with Live(console=console, get_renderable=view.table, refresh_per_second=4):
            yield view
    else:
        yield view


def words(event: ev.Event) -> tuple[str, str]:
    """A cell's state after an event, one of `ORDER`, and a line on it; "" where the event tells neither."""
    match event:
        case ev.Start():
            return "running", "starts" if event.attempt == 1 else f"starts, attempt {event.attempt}"
        case ev.Packed():
            size = f", {bytes_text(event.bytes)}" if event.bytes else ""
            why = f" ({event.message})" if event.message else ""
            return "running", f"pack of {event.split} {event.state}{size}{why}"
        case ev.Resumed():
            return "running", f"resumes {event.unit} at step {event.step}"
        case ev.Step():
            unit = f"{event.unit}: " if event.unit != "all" else ""
            place = f"{unit}epoch {event.epoch}/{event.epochs} step {event.step}/{event.steps}"
            return "running", f"{place} loss {event.loss:.4f}, {duration(event.seconds_left)} left"
        case ev.Evaluating():
            return "running", f"evaluates {event.images}/{event.of}"
        case ev.Done():
            return "done", f"done, took {duration(event.wall_s)}"
        case ev.Failed():
            return "failed", f"failed ({event.kind}): {event.message}"
        case ev.Retry():
            when = f"in {event.pause_s:g} s" if event.pause_s else "when its turn in the queue comes"
            return "waiting", f"again {when} ({event.kind}), retry {event.retry} of {event.of}"
        case ev.Interrupted():
            return "interrupted", "interrupted"
    return "", ""


class View:
    """Takes in events: a row a cell, with its last words, and in logs a line for each that is worth one."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self.rows = {job.cell.id: (job.label, "waiting", "waiting") for job in jobs}
        self.order = {job.cell.id: f"[{n}/{len(jobs)}] {job.label}" for n, job in enumerate(jobs, 1)}
        self.console = console
        self.last = 0.0
        self.warned: set[str] = set()

    def __call__(self, told: CellEvent) -> None:
        """Take in an event."""
        event = told.event
        if isinstance(event, ev.Warned) and event.message not in self.warned:  # once, not once a cell
            self.warned.add(event.message)
            self._print(f"warning: {event.message}", "yellow")
        state, text = words(event)
        if not state:
            return
        self.rows[told.cell_id] = (self.rows[told.cell_id][0], state, text)
        if self.console.is_terminal:
            return
        if isinstance(event, ev.Step | ev.Evaluating):
            if time.monotonic() - self.last < LINE_SECONDS:
                return
            self.last = time.monotonic()
        self._print(f"{self.order[told.cell_id]}: {text}")

    def _print(self, text: str, style: str | None = None) -> None:
        self.console.print(inert(text), markup=False, highlight=False, soft_wrap=True, style=style)

    def table(self) -> Table:
        """The cells as they are now."""
        rows = list(self.rows.values())
        caption = None
        if len(rows) > MANY:  # rich needs half a millisecond a row, four times a second
            counts = Counter(state for _, state, _ in rows)
            caption = ", ".join(f"{counts[state]} {state}" for state in ORDER if counts[state])
            rows = sorted(rows, key=lambda row: ORDER.index(row[1]))[:MANY]
        table = Table("cell", "state", box=None, pad_edge=False, caption=caption)
        for label, state, text in rows:
            table.add_row(Text(inert(label)), Text(inert(text), style=STYLES[state]))
        return table
