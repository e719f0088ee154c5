"""``python -m tabench.runs.slurm.task FOLDER [CODE]``: one element of an array runs its cell.

Told by SIGUSR2 that its time is nearly up (or that it is preempted), it writes a checkpoint and queues
itself again. SIGTERM (`scancel`, a preemption) ends it at a checkpoint; Slurm queues a preempted job itself,
unless it ended within the grace that it was given: then this process does. A cell that failed of something
that another try may cure is queued again, too, as often as retries are left. The outcome is what the store
holds; this process returns nothing.

With the exit CODE of such a task, it looks after one that could not say what happened: it was killed, or it
never came to its cell. The batch script calls it so. It queues the element again, or writes the failure.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path

from tabench.errors import TabenchError
from tabench.events import CheckpointKept, Resumed, Start
from tabench.provenance.portable import check_numerics, is_curable, start_anew
from tabench.runs.executor import CellEvent, Job, Options, Outcome
from tabench.runs.launch import run_job
from tabench.runs.processes import StopFlag, how_it_died
from tabench.runs.retrying import ENDS, after_death, final_failure, last_word, retries_of
from tabench.runs.slurm.queue import SlurmError, Submission, command
from tabench.runs.slurm.submit import SAID
from tabench.runs.slurm_settings import SlurmSettings
from tabench.store.claim import is_live, silence
from tabench.store.streams import steady

LOOK_SECONDS = 5.0  # how often a task looks whether it was cancelled, or its cell is free
GRACE_FACTS = re.compile(r"\b(JobState|PreemptTime)=(\S+)")


class Wish(StopFlag):
    """What was asked of this task since it began; no signal interrupts a checkpoint that is being written."""

    def __init__(self, cancelled: Path) -> None:
        super().__init__(patient=True)
        self.cancelled = cancelled  # there once `tabench cancel` left word
        self._looked = float("-inf")
        self._stop = False

    def __call__(self) -> bool:
        """Whether to stop at a checkpoint."""
        if time.monotonic() - self._looked > LOOK_SECONDS:
            self._looked = time.monotonic()
            self._stop = self.cancelled.exists()
        return super().__call__() or self._stop

    def again(self, state: Callable[[], str] = lambda: "") -> bool:
        """Whether this task has to queue itself again; `state` asks the controller what it says of the job.

        After a SIGTERM, Slurm does so itself if it means it, but not with a preempted job that ends within
        its grace: that one counts as completed.
        """
        if not self.signals or self.cancelled.exists():
            return False
        return self.signals[0] == signal.SIGUSR2 or _in_grace(state())


def run_element(submission: Submission, environment: Mapping[str, str], wish: Wish) -> int:
    """Run the cell of this element, which Slurm's variables name; the exit code."""
    job, options, since = submission.own(environment)
    if submission.cancelled.exists():
        return 0
    settings = options.slurm or SlurmSettings()
    cores = int(environment.get("SLURM_CPUS_PER_TASK") or settings.cpus)
    restarts = int(environment.get("SLURM_RESTART_COUNT") or 0)
    check_numerics(job.cell.train.numerics)
    own = options.for_cell(job.cell)
    own = replace(own, threads=own.threads or max(1, cores // own.processes))
    outcome = patiently(job, own, wish, since=since if restarts else None)
    _log(f"{job.label}: {outcome.state} {outcome.message}".rstrip())
    if outcome.state == "failed":
        retries = retries_of(job, options, _say, since)
        if signal.SIGTERM in wish.signals or wish.cancelled.exists() or retries.pause(outcome) is None:
            return SAID
        return _requeue(environment)
    if outcome.state in ("interrupted", "busy") and wish.again(partial(_state, environment)):
        if restarts >= settings.requeues:
            _log(f"queued again {settings.requeues} times already: left as it is")
            return SAID
        return _requeue(environment)
    return 0


def _requeue(environment: Mapping[str, str]) -> int:
    try:
        command(["scontrol", "requeue", environment["SLURM_JOB_ID"]])
    except SlurmError as error:  # Slurm may have queued it itself meanwhile
        _log(f"not queued again: {error}")
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


def patiently(job: Job, options: Options, wish: Callable[[], bool], since: int | None = None) -> Outcome:
    """Run a cell; one that another process seems to hold is tried again until its claim has gone silent.

    A node that died cannot give its claim back, and Slurm may start the cell elsewhere at once. Where this
    element ran before, `since` is as for `JobFile`: an attempt since then that ended without a word,
    its claim silent, counts as a retry.
    """
    folder, waited = job.folder(options.results), 0.0
    while True:
        begun = since is not None and isinstance(last_word(folder.read_journal()[since:]), Start)
        if begun and not (folder.record.is_file() or is_live(folder.claim)):
            failure = after_death(job, options, _say, since or 0, "its node or its process died")
            if failure is not None:
                return failure
        outcome = run_job(job, options, _say, wish)
        if outcome.state != "busy" or waited > silence() + LOOK_SECONDS or wish():
            return outcome
        time.sleep(LOOK_SECONDS)
        waited += LOOK_SECONDS


def look_after(submission: Submission, environment: Mapping[str, str], code: int) -> Outcome | None:
    """Decide what follows a task that ended badly: its cell's failure, or None if it ended otherwise.

    `environment` holds Slurm's variables, `code` is the task's exit code as a shell says it.
    """
    job, options, since = submission.own(environment)
    folder = job.folder(options.results)
    if code in (0, SAID) or submission.cancelled.exists() or folder.record.is_file():
        return None
    if final_failure(folder.read_journal()[since:], options):  # whoever ran the task lost its code
        return None
    how = f"ended with exit code {code}"
    with contextlib.suppress(ValueError):  # no signal has this number
        if code > 128:
            how = f"was killed ({how_it_died(128 - code)})"
    node = environment.get("SLURMD_NODENAME", "its node")
    outcome = after_death(job, options, _say, since, f"its process on {node} {how}")
    if outcome is None:
        command(["scontrol", "requeue", environment["SLURM_JOB_ID"]])
    return outcome


def _say(told: CellEvent) -> None:
    if isinstance(told.event, (*ENDS, CheckpointKept, Resumed)):
        _log(f"{told.event.name} {told.event.facts()}")


def _log(text: str) -> None:
    print(text, flush=True)  # noqa: T201 (the element's log)


def main(words: list[str]) -> int:
    """Run the element that Slurm's variables name, or look after it."""
    steady()
    submission = Submission(Path(words[0]))
    try:
        if len(words) > 1:
            look_after(submission, os.environ, int(words[1]))
            return 0
        with Wish(submission.cancelled).listening(signal.SIGUSR2, signal.SIGTERM, signal.SIGINT) as wish:
            return run_element(submission, os.environ, wish)
    except TabenchError as error:
        if is_curable(error):  # the cluster hands no variables on
            start_anew()
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
