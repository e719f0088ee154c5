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
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from tabench.engine.probes import set_numerics
from tabench.engine.process_group import ProcessGroup, choose_device, join
from tabench.events import emit_nothing
from tabench.provenance.determinism import set_determinism
from tabench.runs.cell_run import run_cell
from tabench.runs.circumstances import reset_peak_memory
from tabench.runs.compute import compute
from tabench.runs.executor import CellEvent, Job, Options, read_jobs
from tabench.runs.local.torchrun import JOB_FILE, STOP
from tabench.runs.processes import StopFlag, die_with
from tabench.store.streams import steady


def main(words: list[str]) -> int:
    """Take part in the cell of a job file; the exit code is 1 where another process has died."""
    steady()
    found = read_jobs(Path(words[0]) / JOB_FILE)
    (job,), options = found.jobs, found.options
    is_main = os.environ["RANK"] == "0"
    send, asked = _line(), StopFlag(patient=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with asked.listening(signal.SIGTERM):
        if is_main:
            threading.Thread(target=_read, args=(asked,), name="stop", daemon=True).start()
        device = choose_device(options.device)
        if device.type == "cuda":
            device = choose_device(f"cuda:{os.environ['LOCAL_RANK']}")
            torch.cuda.set_device(device)
        own = replace(options, device=str(device))
        group = join(device)
        if is_main:

            def tell(told: CellEvent) -> None:
                send(event=told.event.name, facts=told.event.facts())

            outcome = run_cell(job, own, tell, asked, group)
            send(outcome=outcome.state, kind=outcome.kind, message=outcome.message)
            group.part()
        else:
            _follow(job, own, asked, group)
    if group.lost:
        sys.stderr.flush()
        os._exit(1)  # without waiting for what will not come
    torch.distributed.destroy_process_group()
    return 0


def _line() -> Callable[..., None]:
    """The way to whoever started all this, for JSON values; what else is printed goes to standard error."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def send(**content: Any) -> None:
        out.write(json.dumps(content) + "\n")
        out.flush()

    return send


def _read(asked: StopFlag) -> None:
    """Hear on standard input when to stop."""
    while word := os.read(0, 64):
        if STOP in word:
            asked.hear(signal.SIGTERM)
    os._exit(1)  # whoever started all this is gone


def _follow(job: Job, options: Options, asked: StopFlag, group: ProcessGroup) -> None:
    """Compute along; what goes wrong here is raised by the main process as well, who keeps it."""
    set_numerics(job.cell.train.numerics)
    set_determinism(job.cell.seed, options.threads, strict=job.cell.train.deterministic)
    reset_peak_memory()
    try:
        compute(job, options, emit_nothing, asked, group)
    except Exception:
        traceback.print_exc()


if __name__ == "__main__":
    die_with(os.getppid())
    sys.exit(main(sys.argv[1:]))
