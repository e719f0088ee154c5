"""What Slurm's queue says. Only `squeue`, `scancel` and `scontrol`: no accounting is needed."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabench.errors import TabenchError
from tabench.runs.slurm.submission import Submission, submissions

SECONDS = 30  # to wait for the controller


class SlurmError(TabenchError):
    """Slurm is not there, or refuses."""


@dataclass(frozen=True)
class Queued:
    """An element of an array that Slurm still has.

    Attributes:
        element: Slurm's name of it, "12_0".
        state: Slurm's word: "PENDING", "RUNNING", "COMPLETING", ...
        why: Where it runs, or why it waits.
    """

    element: str
    state: str
    why: str


def command(words: Sequence[str]) -> str:
    """What a command of Slurm prints.

    Raises:
        SlurmError: It is not on this host, or fails.
    """
    if shutil.which(words[0]) is None:
        raise SlurmError(f"`{words[0]}` is not on this host", hint="use a host that submits to the cluster")
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"`{words[0]}` did not answer in {SECONDS} s", hint="is slurmctld up?") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise SlurmError(f"`{' '.join(words)}`: {lines[-1] if lines else f'exit code {done.returncode}'}")
    return done.stdout


def in_queue(arrays: Iterable[str]) -> dict[str, Queued]:
    """The elements of some arrays that wait or run, by their names.

    Raises:
        SlurmError: The queue cannot be asked.
    """
    wanted = set(arrays)
    if not wanted:
        return {}
    # the numbers are not given to squeue: it refuses all of them where it has forgotten one
    found = read_queue(command(["squeue", "-h", "-r", "-t", "all", "-o", "%F_%K|%T|%R"]))
    return {name: one for name, one in found.items() if name.partition("_")[0] in wanted and not over(one)}


def over(one: Queued) -> bool:
    """Whether an element has ended for good, though Slurm remembers it for some minutes."""
    ended = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE",
             "OUT_OF_MEMORY", "PREEMPTED", "REVOKED")  # fmt: skip
    return one.state in ended


def read_queue(text: str) -> dict[str, Queued]:
    """Lines "12_0|RUNNING|n0" by their elements."""
    rows = (line.split("|", 2) for line in text.splitlines() if line.count("|") >= 2)
    return {row[0]: Queued(*row) for row in rows}


def queued_cells(experiment: Path) -> dict[str, Queued]:
    """Cells of an experiment that Slurm has, by id; empty where the queue cannot be asked."""
    try:
        return cells_of([one for one in submissions(experiment) if not one.cancelled.exists()])
    except SlurmError:
        return {}


def cells_of(found: Sequence[Submission]) -> dict[str, Queued]:
    """Cells of some submissions that Slurm has, by id.

    Raises:
        SlurmError: The queue cannot be asked.
    """
    elements = {name: cell for one in found for name, cell in one.elements().items()}
    there = in_queue(name.partition("_")[0] for name in elements)
    return {elements[name]: queued for name, queued in there.items() if name in elements}
