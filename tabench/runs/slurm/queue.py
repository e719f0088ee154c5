"""What Slurm's queue says. Only `squeue`, `scancel` and `scontrol`: no accounting is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tabench.errors import TabenchError
from tabench.runs.slurm.submission import Submission

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
    conf = os.environ.get("SLURM_CONF")
    if conf and not Path(conf).is_file():  # Slurm's programs wait a minute for it
        raise SlurmError(
            "there is no such file", where=f"SLURM_CONF={conf}", hint="name the cluster's slurm.conf"
        )
    if shutil.which(words[0]) is None:
        raise SlurmError(f"`{words[0]}` is not on this host", hint="use a host that submits to the cluster")
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    except subprocess.TimeoutExpired as error:
        raise SlurmError(f"`{words[0]}` did not answer in {SECONDS} s", hint="is slurmctld up?") from error
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise SlurmError(
            f"`{' '.join(words)}`: {lines[-1] if lines else f'exit code {done.returncode}'}",
            hint=f"SLURM_CONF is {conf}: is its cluster up?"
            if conf
            else "is this host one of the cluster's?",
        )
    return done.stdout


def in_queue(arrays: Iterable[str]) -> dict[str, Queued]:
    """The elements of some arrays that Slurm knows, by their names: waiting, running or just `over`.

    Raises:
        SlurmError: The queue cannot be asked.
    """
    wanted = set(arrays)
    if not wanted:
        return {}
    # the numbers are not given to squeue: it refuses all of them where it has forgotten one
    found = read_queue(command(["squeue", "-h", "-r", "-t", "all", "-o", "%F_%K|%T|%R"]))
    return {name: one for name, one in found.items() if name.partition("_")[0] in wanted}


def over(one: Queued) -> bool:
    """Whether an element has ended for good, though Slurm remembers it for some minutes."""
    ended = ("COMPLETED", "CANCELLED", "FAILED", "TIMEOUT", "NODE_FAIL", "BOOT_FAIL", "DEADLINE",
             "OUT_OF_MEMORY", "PREEMPTED", "REVOKED")  # fmt: skip
    return one.state in ended


def read_queue(text: str) -> dict[str, Queued]:
    """Lines "12_0|RUNNING|n0" by their elements."""
    rows = (line.split("|", 2) for line in text.splitlines() if line.count("|") >= 2)
    return {row[0]: Queued(*row) for row in rows}


def waiting(cells: Mapping[str, Queued]) -> dict[str, Queued]:
    """Those that are not `over`."""
    return {cell: one for cell, one in cells.items() if not over(one)}


def cells_of(found: Sequence[Submission]) -> dict[str, Queued]:
    """What Slurm knows of the cells of some submissions, oldest first: the last element of each, by cell id.

    Raises:
        SlurmError: The queue cannot be asked.
    """
    elements = {name: cell for one in found for name, cell in one.elements().items()}
    there = in_queue(name.partition("_")[0] for name in elements)
    return {cell: there[name] for name, cell in elements.items() if name in there}
