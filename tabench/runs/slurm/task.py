"""``python -m tabench.runs.slurm.task FOLDER``: one element of an array runs its cell.

Told by SIGUSR2 that its time is nearly up (or that it is preempted), it writes a checkpoint and queues
itself again. SIGTERM (a preemption that Slurm itself queues again, or `scancel`) ends it at a checkpoint.
The outcome is what the store holds; this process returns nothing.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType

from tabench.errors import TabenchError
from tabench.runs.executor import Event, Job, Options, Outcome
from tabench.runs.launch import run_job
from tabench.runs.slurm.queue import command
from tabench.runs.slurm.settings import SlurmSettings
from tabench.runs.slurm.submission import Submission
from tabench.store.holder import silence

LOOK_SECONDS = 5.0  # how often a task looks whether it was cancelled, or its cell is free


class Wish:
    """What was asked of this task since it began.

    Attributes:
        signals: In the order they came; none interrupts a checkpoint that is being written.
    """

    def __init__(self, cancelled: Path) -> None:
        self.signals: list[int] = []
        self._cancelled = cancelled
        self._looked = float("-inf")
        self._stop = False

    def listen(self) -> None:
        """From now on."""
        for number in (signal.SIGUSR2, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._hear)

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.signals.append(number)

    def cancelled(self) -> bool:
        """Whether `tabench cancel` left word."""
        return self._cancelled.exists()

    def __call__(self) -> bool:
        """Whether to stop at a checkpoint."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._stop = self.cancelled()
        return bool(self.signals) or self._stop

    def again(self) -> bool:
        """Whether this task has to queue itself again: Slurm does so itself after a SIGTERM that means it."""
        return bool(self.signals) and self.signals[0] == signal.SIGUSR2 and not self.cancelled()


def run_element(submission: Submission, environment: Mapping[str, str], wish: Wish) -> int:
    """Run the cell of this element; the exit code.

    Args:
        submission: Where the job file is.
        environment: Slurm's variables.
        wish: Asked after every step.
    """
    jobs, options = submission.read()
    job = jobs[int(environment["SLURM_ARRAY_TASK_ID"])]
    if wish.cancelled():
        return 0
    settings = options.slurm or SlurmSettings()
    cores = int(environment.get("SLURM_CPUS_PER_TASK") or settings.cpus)
    threads = options.threads or max(1, cores // options.processes)
    outcome = patiently(job, replace(options, threads=threads), wish)
    print(f"{job.label}: {outcome.state} {outcome.message}".rstrip(), flush=True)  # noqa: T201 (its log)
    if outcome.state == "failed":
        return 1
    if outcome.state in ("interrupted", "busy") and wish.again():
        if int(environment.get("SLURM_RESTART_COUNT") or 0) >= settings.requeues:
            print(f"queued again {settings.requeues} times already: left as it is", flush=True)  # noqa: T201
            return 1
        command(["scontrol", "requeue", environment["SLURM_JOB_ID"]])
    return 0


def patiently(
    job: Job,
    options: Options,
    wish: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
) -> Outcome:
    """Run a cell; one that another process seems to hold is tried again until its claim has gone silent.

    A node that died cannot give its claim back, and Slurm may start the cell elsewhere at once.
    """
    waited = 0.0
    while True:
        outcome = run_job(job, options, _say, wish)
        if outcome.state != "busy" or waited > silence() + LOOK_SECONDS or wish():
            return outcome
        sleep(LOOK_SECONDS)
        waited += LOOK_SECONDS


def _say(event: Event) -> None:
    if event.kind in ("start", "resume", "checkpoint", "failed", "interrupted", "done"):
        print(event.kind, dict(event.facts), flush=True)  # noqa: T201 (its log)


def main(words: list[str]) -> int:
    """Run the element that Slurm's variables name."""
    submission = Submission(Path(words[0]))
    wish = Wish(submission.cancelled)
    wish.listen()
    try:
        return run_element(submission, os.environ, wish)
    except TabenchError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
