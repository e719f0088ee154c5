"""``python -m tabench.runs.slurm.task FOLDER``: one element of an array runs its cell.

Told by SIGUSR2 that its time is nearly up (or that it is preempted), it writes a checkpoint and queues
itself again. SIGTERM (`scancel`, a preemption) ends it at a checkpoint; Slurm queues a preempted job itself,
unless it ended within the grace that it was given: then this process does. A cell that failed of something
that another try may cure is queued again, too, as often as retries are left. The outcome is what the store
holds; this process returns nothing.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import FrameType

from tabench.errors import TabenchError
from tabench.events import CheckpointKept, Resumed
from tabench.runs.executor import CellEvent, Job, Options, Outcome
from tabench.runs.launch import run_job
from tabench.runs.slurm.attempts import ENDS, after_death, ended_silently, retries_of
from tabench.runs.slurm.queue import SlurmError, command
from tabench.runs.slurm.record_death import SAID
from tabench.runs.slurm.submission import Submission
from tabench.runs.slurm_settings import SlurmSettings
from tabench.store.holder import silence
from tabench.store.streams import steady

LOOK_SECONDS = 5.0  # how often a task looks whether it was cancelled, or its cell is free
GRACE_FACTS = re.compile(r"\b(JobState|PreemptTime)=(\S+)")


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

    def again(self, state: Callable[[], str] = lambda: "") -> bool:
        """Whether this task has to queue itself again.

        After a SIGTERM, Slurm does so itself if it means it, but not with a preempted job that ends within
        its grace: that one counts as completed. `state` asks the controller what it says of this job.
        """
        if not self.signals or self.cancelled():
            return False
        return self.signals[0] == signal.SIGUSR2 or _in_grace(state())


def run_element(submission: Submission, environment: Mapping[str, str], wish: Wish) -> int:
    """Run the cell of this element, which Slurm's variables name; the exit code."""
    job, options, since = submission.own(environment)
    if wish.cancelled():
        return 0
    settings = options.slurm or SlurmSettings()
    cores = int(environment.get("SLURM_CPUS_PER_TASK") or settings.cpus)
    restarts = int(environment.get("SLURM_RESTART_COUNT") or 0)
    own = replace(options, threads=options.threads or max(1, cores // options.processes))
    outcome = patiently(job, own, wish, since=since if restarts else None)
    print(f"{job.label}: {outcome.state} {outcome.message}".rstrip(), flush=True)  # noqa: T201 (its log)
    if outcome.state == "failed":
        retries = retries_of(job, options, _say, since)
        if signal.SIGTERM in wish.signals or wish.cancelled() or retries.pause(outcome) is None:
            return SAID
        return _requeue(environment)
    if outcome.state in ("interrupted", "busy") and wish.again(partial(_state, environment)):
        if restarts >= settings.requeues:
            print(f"queued again {settings.requeues} times already: left as it is", flush=True)  # noqa: T201
            return SAID
        return _requeue(environment)
    return 0


def _requeue(environment: Mapping[str, str]) -> int:
    try:
        command(["scontrol", "requeue", environment["SLURM_JOB_ID"]])
    except SlurmError as error:  # Slurm may have queued it itself meanwhile
        print(f"not queued again: {error}", flush=True)  # noqa: T201 (its log)
        return SAID
    return 0


def _state(environment: Mapping[str, str]) -> str:
    """What the controller says of this job; "" if it says nothing."""
    try:
        return command(["scontrol", "--oneliner", "show", "job", environment["SLURM_JOB_ID"]])
    except SlurmError:
        return ""


def _in_grace(state: str) -> bool:
    """Whether a job was told of its preemption and is not taken from its node yet."""
    facts = dict(pair for pair in GRACE_FACTS.findall(state))
    preempted = facts.get("PreemptTime", "None") not in ("None", "N/A", "Unknown")
    return preempted and facts.get("JobState") in ("RUNNING", "SIGNALING")


def patiently(
    job: Job,
    options: Options,
    wish: Callable[[], bool],
    sleep: Callable[[float], None] = time.sleep,
    since: int | None = None,
) -> Outcome:
    """Run a cell; one that another process seems to hold is tried again until its claim has gone silent.

    A node that died cannot give its claim back, and Slurm may start the cell elsewhere at once.

    Args:
        job: The cell.
        options: Of the run.
        wish: Whether to stop.
        sleep: Waits.
        since: Where this element ran before: events in the cell's journal when it was submitted. An attempt
            since then that ended without a word counts as a retry.
    """
    waited = 0.0
    while True:
        if since is not None and ended_silently(job.folder(options.results), since):
            failure = after_death(job, options, _say, since, "its node or its process died")
            if failure is not None:
                return failure
        outcome = run_job(job, options, _say, wish)
        if outcome.state != "busy" or waited > silence() + LOOK_SECONDS or wish():
            return outcome
        sleep(LOOK_SECONDS)
        waited += LOOK_SECONDS


def _say(told: CellEvent) -> None:
    if isinstance(told.event, (*ENDS, CheckpointKept, Resumed)):
        print(told.event.name, told.event.facts(), flush=True)  # noqa: T201 (its log)


def main(words: list[str]) -> int:
    """Run the element that Slurm's variables name."""
    steady()
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
