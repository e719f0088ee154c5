"""One cell after the other, in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tabench.runs.executor import Job, Listener, Options, Outcome
from tabench.runs.launch import run_job
from tabench.runs.retrying import Retries, wait
from tabench.runs.stopping import StopFlag


class InlineExecutor:
    """Runs cells in order; see `Executor`."""

    def run(self, jobs: Sequence[Job], options: Options, listener: Listener) -> list[Outcome]:
        """Run the jobs one after the other; stops after an interrupted one."""
        outcomes: list[Outcome] = []
        retries = Retries(options.results, listener)
        with StopFlag().listening() as should_stop:
            for job in jobs:
                outcomes.append(_run(job, options, listener, should_stop, retries))
                if outcomes[-1].state == "interrupted" or options.ends_with(outcomes[-1]):
                    break
        return outcomes


def _run(
    job: Job, options: Options, listener: Listener, should_stop: Callable[[], bool], retries: Retries
) -> Outcome:
    """One cell, again where another try may help; this process is interrupted by persons only."""
    while True:
        outcome = run_job(job, options, listener, should_stop)
        if outcome.state == "interrupted" and (options.processes == 1 or should_stop()):
            return outcome
        pause = retries.pause(outcome)
        if pause is None or not wait(pause, should_stop):
            return outcome
