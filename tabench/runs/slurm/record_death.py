"""``python -m tabench.runs.slurm.record_death FOLDER CODE``: after a task that ended badly, on its node.

The batch script calls it where the task's own process could not say what happened: it was killed, or it
never came to its cell. It queues the element again, as often as retries are left, or writes the failure.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tabench.errors import TabenchError
from tabench.runs.deaths import how_it_died
from tabench.runs.executor import CellEvent, Outcome
from tabench.runs.slurm.attempts import after_death, final_failure
from tabench.runs.slurm.queue import command
from tabench.runs.slurm.submission import Submission
from tabench.store.streams import steady

SAID = 3  # exit code of a task whose cell failed for good, and that has written it down


def record_ending(submission: Submission, environment: Mapping[str, str], code: int) -> Outcome | None:
    """Decide what follows; the cell's failure, or None if it is queued again or has ended otherwise.

    `environment` holds Slurm's variables, `code` is the task's exit code as a shell says it.
    """
    job, options, since = submission.own(environment)
    folder = job.folder(options.results)
    if code in (0, SAID) or submission.cancelled.exists() or folder.record.is_file():
        return None
    if final_failure(folder.read_journal()[since:], options):  # whoever ran the task lost its code
        return None
    node = environment.get("SLURMD_NODENAME", "its node")
    outcome = after_death(job, options, _say, since, f"its process on {node} {_how(code)}")
    if outcome is None:
        command(["scontrol", "requeue", environment["SLURM_JOB_ID"]])
    return outcome


def _how(code: int) -> str:
    """A shell's exit code in words."""
    with contextlib.suppress(ValueError):  # no signal has this number
        if code > 128:
            return f"was killed ({how_it_died(128 - code)})"
    return f"ended with exit code {code}"


def _say(told: CellEvent) -> None:
    print(told.event.name, told.event.facts(), flush=True)  # noqa: T201 (its log)


def main(words: list[str]) -> int:
    """Look after the element that Slurm's variables name."""
    steady()
    try:
        record_ending(Submission(Path(words[0])), os.environ, int(words[1]))
    except TabenchError as error:
        print(f"error: {error}", file=sys.stderr, flush=True)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
