"""What a person sees while cells run: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol, Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from tabench.runs.executor import Event, Job
from tabench.text import bytes_text, duration, inert

LINE_SECONDS = 10.0  # least time between two plain lines about steps
MANY = 60  # rows that are shown at a time
ORDER = ("running", "failed", "interrupted", "waiting", "done")  # of the rows, where there are more
STYLES = {"done": "green", "failed": "red", "running": "cyan", "interrupted": "yellow", "waiting": "dim"}


class View(Protocol):
    """A context manager that is told of events."""

    def __enter__(self) -> Self:
        """Start showing."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop showing."""
        ...

    def __call__(self, event: Event) -> None:
        """Show an event."""
        ...


def view_of(jobs: Sequence[Job], console: Console) -> View:
    """A live table on a terminal, else plain lines."""
    return LiveTable(jobs, console) if console.is_terminal else PlainLines(jobs, console)


def progress_text(facts: Mapping[str, Any]) -> str:
    """One line about a "step" event."""
    unit = f"{facts['unit']}: " if facts["unit"] != "all" else ""
    left = duration(float(facts["seconds_left"]))
    return (
        f"{unit}epoch {facts['epoch']}/{facts['epochs']} step {facts['step']}/{facts['steps']} "
        f"loss {facts['loss']:.4f}, {left} left"
    )


class LiveTable:
    """One row a cell: state, epoch, loss, time left."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self.rows = {job.cell.id: [job.label, "waiting", "", "", "", ""] for job in jobs}
        self.live = Live(console=console, get_renderable=self.render, refresh_per_second=4)
        self.warned: set[str] = set()

    def __enter__(self) -> Self:
        """Start showing."""
        self.live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the last table on the screen."""
        self.live.__exit__(kind, error, trace)

    def __call__(self, event: Event) -> None:
        """Update the cell's row."""
        row, facts = self.rows[event.cell_id], event.facts
        if event.kind == "step":
            unit = f" {facts['unit']}" if facts["unit"] != "all" else ""
            row[1:] = [
                "running",
                f"{facts['epoch']}/{facts['epochs']}{unit}",
                f"{facts['step']}/{facts['steps']}",
                f"{facts['loss']:.4f}",
                duration(float(facts["seconds_left"])),
            ]
        elif event.kind == "evaluating":
            row[1], row[5] = "running", f"evaluates {facts['images']}/{facts['of']}"
        elif event.kind == "start":
            row[1], row[5] = "running", "loads"
        elif event.kind == "warning" and facts["message"] not in self.warned:
            self.warned.add(facts["message"])
            text = inert(f"warning: {facts['message']}")
            self.live.console.print(text, markup=False, highlight=False, soft_wrap=True, style="yellow")
        elif event.kind == "pack" and facts["state"] == "building":
            row[1], row[5] = "running", f"packs {facts['split']}"
        elif event.kind == "done":
            row[1], row[5] = "done", f"took {duration(float(facts['wall_s']))}"
        elif event.kind == "retry":
            row[1], row[5] = "waiting", f"{facts['kind']}, retry {facts['retry']} of {facts['of']}"
        elif event.kind in ("failed", "interrupted"):
            row[1], row[5] = event.kind, str(facts.get("kind", ""))

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

    def __enter__(self) -> Self:
        """Nothing to set up."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to close."""

    def __call__(self, event: Event) -> None:
        """Print a line, if the event is worth one."""
        text = self._text(event)
        if text:
            name = f"[{self.order[event.cell_id]}] {self.labels[event.cell_id]}"
            self.console.print(inert(f"{name}: {text}"), markup=False, highlight=False, soft_wrap=True)

    def _text(self, event: Event) -> str:
        facts = event.facts
        if event.kind == "step":
            if time.monotonic() - self.last < LINE_SECONDS:
                return ""
            self.last = time.monotonic()
            return progress_text(facts)
        if event.kind == "warning" and facts["message"] not in self.warned:  # once, not once a cell
            self.warned.add(facts["message"])
            return f"warning: {facts['message']}"
        if event.kind == "start":
            return "starts" if facts["attempt"] == 1 else f"starts, attempt {facts['attempt']}"
        if event.kind == "pack":
            size = f", {bytes_text(facts['bytes'])}" if facts["bytes"] else ""
            why = f" ({facts['message']})" if facts["message"] else ""
            return f"pack of {facts['split']} {facts['state']}{size}{why}"
        if event.kind == "resume":
            return f"resumes {facts['unit']} at step {facts['step']}"
        if event.kind == "done":
            return f"done, took {duration(float(facts['wall_s']))}"
        if event.kind == "failed":
            return f"failed ({facts['kind']}): {facts['message']}"
        if event.kind == "retry":
            when = f"in {facts['pause_s']:g} s" if facts["pause_s"] else "when its turn in the queue comes"
            return f"again {when} ({facts['kind']}), retry {facts['retry']} of {facts['of']}"
        return "interrupted" if event.kind == "interrupted" else ""
