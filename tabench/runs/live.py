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
    if not console.is_terminal:
        yield PlainLines(jobs, console)
        return
    table = LiveTable(jobs, console)
    with Live(console=console, get_renderable=table.render, refresh_per_second=4):
        yield table


def progress_text(step: ev.Step) -> str:
    """One line about an optimiser step."""
    unit = f"{step.unit}: " if step.unit != "all" else ""
    return (
        f"{unit}epoch {step.epoch}/{step.epochs} step {step.step}/{step.steps} "
        f"loss {step.loss:.4f}, {duration(step.seconds_left)} left"
    )


class LiveTable:
    """One row a cell: state, epoch, loss, time left."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self.rows = {job.cell.id: [job.label, "waiting", "", "", "", ""] for job in jobs}
        self.console = console
        self.warned: set[str] = set()

    def __call__(self, told: CellEvent) -> None:
        """Update the cell's row."""
        row, event = self.rows[told.cell_id], told.event
        match event:
            case ev.Step():
                unit = f" {event.unit}" if event.unit != "all" else ""
                row[1:] = [
                    "running",
                    f"{event.epoch}/{event.epochs}{unit}",
                    f"{event.step}/{event.steps}",
                    f"{event.loss:.4f}",
                    duration(event.seconds_left),
                ]
            case ev.Evaluating():
                row[1], row[5] = "running", f"evaluates {event.images}/{event.of}"
            case ev.Start():
                row[1], row[5] = "running", "loads"
            case ev.Warned() if event.message not in self.warned:
                self.warned.add(event.message)
                text = inert(f"warning: {event.message}")
                self.console.print(text, markup=False, highlight=False, soft_wrap=True, style="yellow")
            case ev.Packed(state="building"):
                row[1], row[5] = "running", f"packs {event.split}"
            case ev.Done():
                row[1], row[5] = "done", f"took {duration(event.wall_s)}"
            case ev.Retry():
                row[1], row[5] = "waiting", f"{event.kind}, retry {event.retry} of {event.of}"
            case ev.Failed():
                row[1], row[5] = "failed", event.kind
            case ev.Interrupted():
                row[1], row[5] = "interrupted", ""

    def render(self) -> Table:
        """The table as it is now."""
        rows = list(self.rows.values())
        caption = None
        if len(rows) > MANY:  # rich needs half a millisecond a row, four times a second
            counts = Counter(state for _, state, *_ in rows)
            caption = ", ".join(f"{counts[state]} {state}" for state in ORDER if counts[state])
            rows = sorted(rows, key=lambda row: ORDER.index(row[1]))[:MANY]
        heads = ("cell", "state", "epoch", "step", "loss", "time left")
        table = Table(*heads, box=None, pad_edge=False, caption=caption)
        for label, state, *rest in rows:
            cells = (Text(inert(text)) for text in rest)
            table.add_row(Text(inert(label)), Text(state, style=STYLES.get(state, "")), *cells)
        return table


class PlainLines:
    """One line an event worth a line; for logs."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self.labels = {job.cell.id: job.label for job in jobs}
        self.order = {job.cell.id: f"{n}/{len(jobs)}" for n, job in enumerate(jobs, 1)}
        self.console = console
        self.last = 0.0
        self.warned: set[str] = set()

    def __call__(self, told: CellEvent) -> None:
        """Print a line, if the event is worth one."""
        text = self._text(told.event)
        if text:
            name = f"[{self.order[told.cell_id]}] {self.labels[told.cell_id]}"
            self.console.print(inert(f"{name}: {text}"), markup=False, highlight=False, soft_wrap=True)

    def _text(self, event: ev.Event) -> str:
        match event:
            case ev.Step() if time.monotonic() - self.last >= LINE_SECONDS:
                self.last = time.monotonic()
                return progress_text(event)
            case ev.Warned() if event.message not in self.warned:  # once, not once a cell
                self.warned.add(event.message)
                return f"warning: {event.message}"
            case ev.Start():
                return "starts" if event.attempt == 1 else f"starts, attempt {event.attempt}"
            case ev.Packed():
                size = f", {bytes_text(event.bytes)}" if event.bytes else ""
                why = f" ({event.message})" if event.message else ""
                return f"pack of {event.split} {event.state}{size}{why}"
            case ev.Resumed():
                return f"resumes {event.unit} at step {event.step}"
            case ev.Done():
                return f"done, took {duration(event.wall_s)}"
            case ev.Failed():
                return f"failed ({event.kind}): {event.message}"
            case ev.Retry():
                when = f"in {event.pause_s:g} s" if event.pause_s else "when its turn in the queue comes"
                return f"again {when} ({event.kind}), retry {event.retry} of {event.of}"
            case ev.Interrupted():
                return "interrupted"
        return ""
