"""The same cell several times: is it the same result, and where do two runs part?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tabench.errors import TabenchError
from tabench.events import Step
from tabench.runs.executor import CellEvent, Job, Options
from tabench.runs.local.pool import PoolExecutor
from tabench.store.record import Record, load_record


class Trial(NamedTuple):
    """One run of a cell, in a process of its own."""

    losses: list[tuple[str, int, float]]  # (unit, step, loss) of every step, steps from 1
    record: Record


def try_cell(job: Job, results: Path, device: str, threads: int) -> Trial:
    """Run a cell from the beginning in a new process, into a results folder without it.

    Raises:
        TabenchError: The cell failed.
    """
    losses: list[tuple[str, int, float]] = []

    def on_event(told: CellEvent) -> None:
        if isinstance(told.event, Step):
            losses.append((told.event.unit, told.event.step, told.event.loss))

    how = Options(results=results, device=device, threads=threads, workers=1)
    (outcome,) = PoolExecutor().run([replace(job, seconds=0.0)], how, on_event)
    if outcome.state != "done":
        raise TabenchError(f"the cell did not end: {outcome.state} {outcome.kind}: {outcome.message}")
    return Trial(losses, load_record(job.folder(results).record))


def differences(one: Trial, other: Trial) -> list[str]:
    """What differs between two trials of one cell, from the first step on; empty if nothing does."""
    found = [text] if (text := first_difference(one.losses, other.losses)) else []
    ours, theirs = one.record, other.record
    if ours.weights_sha256 != theirs.weights_sha256:
        found.append(f"trained weights: sha256 {ours.weights_sha256[:12]} and {theirs.weights_sha256[:12]}")
    pairs = list(zip(ours.metrics, theirs.metrics, strict=True))
    unequal = [(a, b) for a, b in pairs if a.value != b.value]
    if unequal:
        a, b = unequal[0]
        first = f"first {a.task} {a.key}: {a.value} and {b.value}"
        found.append(f"{len(unequal)} of {len(pairs)} metrics, {first}")
    if not found and ours != theirs:
        found.append("the records, though not in weights or metrics")
    return found


def first_difference(one: Sequence[tuple[str, int, float]], other: Sequence[tuple[str, int, float]]) -> str:
    """The first step whose loss is not the same bit by bit; "" if there is none."""
    if len(one) != len(other):
        return f"{len(one)} and {len(other)} steps"
    for (unit, step, a), (_, _, b) in zip(one, other, strict=True):
        if a != b:
            where = "" if unit == "all" else f" of {unit}"
            return f"loss: first at step {step}{where}: {a!r} and {b!r}"
    return ""
