"""The same cell several times: is it the same result, and where do two runs part?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from tabench.errors import TabenchError
from tabench.events import Step
from tabench.runs.executor import CellEvent, Job, Options
from tabench.runs.local.pool import PoolExecutor
from tabench.store.encoding import read_object
from tabench.store.record import Record, load_record


@dataclass
class Trial:
    """One run of the cell, in a process of its own.

    Attributes:
        threads: CPU threads of torch.
        losses: (unit, step, loss) of every step, steps from 1.
        record: The cell's record.
        environment: What run.json says of machine, versions and switches.
    """

    threads: int
    losses: list[tuple[str, int, float]] = field(default_factory=list)
    record: Record | None = None
    environment: dict[str, Any] = field(default_factory=dict)


def try_cell(job: Job, results: Path, device: str, threads: int) -> Trial:
    """Run a cell from the beginning in a new process, into a results folder without it.

    Raises:
        TabenchError: The cell failed.
    """
    trial = Trial(threads)

    def on_event(told: CellEvent) -> None:
        if isinstance(told.event, Step):
            trial.losses.append((told.event.unit, told.event.step, told.event.loss))

    how = Options(results=results, device=device, threads=threads, workers=1)
    (outcome,) = PoolExecutor().run([replace(job, seconds=0.0)], how, on_event)
    if outcome.state != "done":
        raise TabenchError(f"the cell did not end: {outcome.state} {outcome.kind}: {outcome.message}")
    folder = job.folder(results)
    trial.record = load_record(folder.record)
    trial.environment = read_object(folder.run)
    return trial


def differences(one: Trial, other: Trial) -> list[str]:
    """What differs between two trials of one cell, from the first step on; empty if nothing does."""
    assert one.record is not None
    assert other.record is not None
    found = []
    step = first_difference(one.losses, other.losses)
    if step:
        found.append(step)
    if one.record.weights_sha256 != other.record.weights_sha256:
        found.append(
            f"trained weights: sha256 {one.record.weights_sha256[:12]} and {other.record.weights_sha256[:12]}"
        )
    pairs = list(zip(one.record.metrics, other.record.metrics, strict=True))
    unequal = [(a, b) for a, b in pairs if a.value != b.value]
    if unequal:
        a, b = max(unequal, key=lambda pair: _relative(pair[0].value, pair[1].value))
        found.append(
            f"{len(unequal)} of {len(pairs)} metrics, most {a.task} {a.key}: {a.value} and {b.value}"
        )
    if not found and one.record != other.record:
        found.append("the records, though not in weights or metrics")
    return found


def first_difference(one: Sequence[tuple[str, int, float]], other: Sequence[tuple[str, int, float]]) -> str:
    """The first step whose loss is not the same bit by bit; "" if there is none."""
    if len(one) != len(other):
        return f"{len(one)} and {len(other)} steps"
    for (unit, step, a), (_, _, b) in zip(one, other, strict=True):
        if a != b:
            where = "" if unit == "all" else f" of {unit}"
            return f"loss: first at step {step}{where}: {a!r} and {b!r} (relative {_relative(a, b):.1e})"
    return ""


def _relative(a: float | None, b: float | None) -> float:
    if a is None or b is None:
        return float("inf")
    return abs(a - b) / max(abs(a), abs(b), 1e-30)
