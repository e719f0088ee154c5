"""``python -m tabench.runs.local.torchrun_process FOLDER``: one of the processes that torchrun starts.

The first one is the main process: it runs the cell as a single process would, tells of it in JSON lines on
its standard output, and hears on its standard input when to stop. The others only compute.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import traceback
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import Any

import torch

from tabench.engine.process_group import ProcessGroup, choose_device, join
from tabench.events import emit_nothing
from tabench.provenance.determinism import set_determinism
from tabench.runs.cell_run import run_cell
from tabench.runs.compute import compute
from tabench.runs.deaths import die_with
from tabench.runs.executor import CellEvent, Job, Options, read_jobs
from tabench.runs.local.torchrun import JOB_FILE, STOP
from tabench.runs.resources import reset_peak_memory
from tabench.store.streams import steady


class Asked:
    """Whether a stop was asked for, by SIGTERM or on standard input; no number of signals interrupts."""

    def __init__(self) -> None:
        self.asked = False

    def __call__(self) -> bool:
        """Asked after every step."""
        return self.asked

    def listen(self, *, is_main: bool) -> None:
        """From now on; the main process also to its standard input."""
        signal.signal(signal.SIGTERM, self._hear)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if is_main:
            threading.Thread(target=self._read, name="stop", daemon=True).start()

    def _hear(self, number: int, frame: FrameType | None) -> None:
        self.asked = True

    def _read(self) -> None:
        while word := os.read(0, 64):
            if STOP in word:
                self.asked = True
        os._exit(1)  # whoever started all this is gone


class Line:
    """The way to whoever started all this; what else is printed goes to standard error."""

    def __init__(self) -> None:
        self._out = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)

    def send(self, **content: Any) -> None:
        """Send JSON values."""
        self._out.write(json.dumps(content) + "\n")
        self._out.flush()

    def emit(self, told: CellEvent) -> None:
        """Send an event."""
        self.send(event=told.event.name, facts=told.event.facts())


def main(words: list[str]) -> int:
    """Take part in the cell of a job file; the exit code is 1 where another process has died."""
    steady()
    (job,), options = read_jobs(Path(words[0]) / JOB_FILE)
    is_main = os.environ["RANK"] == "0"
    line, asked = Line(), Asked()
    asked.listen(is_main=is_main)
    device = choose_device(options.device)
    if device.type == "cuda":
        device = choose_device(f"cuda:{os.environ['LOCAL_RANK']}")
        torch.cuda.set_device(device)
    own = replace(options, device=str(device))
    group = join(device)
    if is_main:
        outcome = run_cell(job, own, line.emit, asked, group)
        line.send(outcome=outcome.state, kind=outcome.kind, message=outcome.message)
        group.part()
    else:
        _follow(job, own, asked, group)
    if group.lost:
        sys.stderr.flush()
        os._exit(1)  # without waiting for what will not come
    torch.distributed.destroy_process_group()
    return 0


def _follow(job: Job, options: Options, asked: Asked, group: ProcessGroup) -> None:
    """Compute along; what goes wrong here is raised by the main process as well, who keeps it."""
    set_determinism(job.cell.seed, options.threads)
    reset_peak_memory()
    try:
        compute(job, options, emit_nothing, asked, group)
    except Exception:
        traceback.print_exc()


if __name__ == "__main__":
    die_with(os.getppid())
    sys.exit(main(sys.argv[1:]))
