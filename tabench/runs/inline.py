"""One cell after the other, in this process."""

from __future__ import annotations

from collections.abc import Sequence

from tabench.runs.executor import Job, Listener, Options, Outcome
from tabench.runs.stopping import StopFlag


class InlineExecutor:
    """Runs cells in order; see `Executor`."""

    def run(self, jobs: Sequence[Job], options: Options, listener: Listener) -> list[Outcome]:
        """Run the jobs one after the other; stops after an interrupted one."""
        from tabench.runs.cell_run import run_cell  # imports torch

        outcomes: list[Outcome] = []
        with StopFlag().listening() as should_stop:
            for job in jobs:
                outcomes.append(run_cell(job, options, listener, should_stop))
                if outcomes[-1].state == "interrupted":
                    break
        return outcomes
