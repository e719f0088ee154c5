"""One cell after the other, in this process."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from tabench.runs.executor import Job, Listener, Options, Outcome


class StopFlag:
    """Set by the first Ctrl-C or SIGTERM; the second one interrupts at once."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return self.asked

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    @contextmanager
    def listening(self) -> Iterator[StopFlag]:
        """Listen for signals inside the block; previous handlers return afterwards."""
        previous = {s: signal.signal(s, self._handle) for s in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


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
