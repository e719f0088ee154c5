"""One cell in several processes of this machine, started by torchrun.

The processes are anew for each try, since a device that failed stays broken in the process that used it.
Between them and this process go JSON lines: a job file in a folder of its own, events and the outcome from
the first process' standard output, the word to stop on its standard input.

``python -m tabench.runs.local.torchrun PARENT COUNT FOLDER`` is torchrun that ends with its starter: torchrun
itself would go on when its parent is killed, and let the signal that Slurm sends before a time limit kill it.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tabench.events import Interrupted, read_event
from tabench.provenance.environment import usable_cores
from tabench.runs.executor import CellEvent, Job, Listener, Options, Outcome, write_jobs
from tabench.runs.processes import LOOK_SECONDS, die_with, how_it_died
from tabench.runs.retrying import ProcessDiedError, record_death, speak_for
from tabench.store.streams import steady

JOB_FILE: Final = "job.json"
STOP: Final = b"stop"
LEAVE_SECONDS: Final = 60.0  # for all processes to end, once the outcome is known
LOG_LINES: Final = 40  # of what a dead process wrote, kept with the failure


def run_in_torchrun(
    job: Job, options: Options, listener: Listener, should_stop: Callable[[], bool]
) -> Outcome:
    """Run a cell in `options.processes` processes; the arguments and the outcome are those of `run_cell`.

    A process that is killed ends the others; the cell then failed of kind "infrastructure", and its next try
    resumes from the last checkpoint.
    """
    share = max(1, usable_cores() // options.processes)
    own = options.for_cell(job.cell)
    own = replace(own, threads=own.threads or share)
    folder = Path(tempfile.mkdtemp(prefix="tabench-"))
    try:
        write_jobs(folder / JOB_FILE, [job], own)
        with (folder / "stderr").open("w+b") as log:
            outcome = _run(job, own, folder, log.fileno(), listener, should_stop)
        if outcome is not None:
            return outcome
        if not should_stop():
            text = (folder / "stderr").read_text(errors="replace")
            error = ProcessDiedError(_cause(text, options.processes))
            error.add_note("\n".join(text.splitlines()[-LOG_LINES:]))
            return record_death(options.results, job, error, listener)
    except KeyboardInterrupt:
        pass
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    # a stop that did not wait for the processes, or that came before they could listen
    speak_for(job, options.results, listener, Interrupted())
    return Outcome(job, "interrupted", message="interrupted; the last checkpoint is kept")


def _run(
    job: Job, options: Options, folder: Path, log: int, listener: Listener, should_stop: Callable[[], bool]
) -> Outcome | None:
    """The outcome as the first process tells it; None if it died before."""
    words = [str(os.getpid()), str(options.processes), str(folder)]
    agent = subprocess.Popen(
        [sys.executable, "-u", "-m", "tabench.runs.local.torchrun", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env={**os.environ, "OMP_NUM_THREADS": str(options.threads)},
        start_new_session=True,  # Ctrl-C reaches this process, which passes the word on
    )
    outcome: Outcome | None = None
    try:
        for line in _lines(agent, should_stop):
            if "outcome" in line:
                outcome = Outcome(job, line["outcome"], str(line["kind"]), str(line["message"]))
                break
            if (event := read_event(line["event"], line["facts"])) is not None:
                listener(CellEvent(job.cell.id, event))
        with suppress(subprocess.TimeoutExpired):
            agent.wait(LEAVE_SECONDS if outcome is not None else None)
    finally:
        with suppress(ProcessLookupError):
            if agent.poll() is None:
                os.killpg(agent.pid, signal.SIGKILL)  # and with torchrun all processes of the cell
        agent.wait()
        for pipe in (agent.stdin, agent.stdout):
            with suppress(OSError, AttributeError):  # it was full, and its reader has gone
                pipe.close()  # type: ignore[union-attr]
    return outcome


def _lines(agent: subprocess.Popen[bytes], should_stop: Callable[[], bool]) -> Iterator[dict[str, Any]]:
    """What the first process tells, until it has no more to say; a stop is passed on to it."""
    assert agent.stdin is not None
    assert agent.stdout is not None
    told, held = False, b""
    while True:
        if not told and should_stop():
            told = True
            with suppress(OSError):  # it has just ended
                agent.stdin.write(STOP)
                agent.stdin.flush()
        if not select.select([agent.stdout], [], [], LOOK_SECONDS)[0]:
            continue
        content = os.read(agent.stdout.fileno(), 2**16)
        if not content:
            return
        *lines, held = (held + content).split(b"\n")
        for line in lines:
            with suppress(ValueError):  # printed by something else
                found = json.loads(line)
                if isinstance(found, dict) and ("event" in found or "outcome" in found):
                    yield found


def _cause(log: str, count: int) -> str:
    """Which process torchrun says began it, and how it ended."""
    found = re.search(r"Root Cause.*?rank +: (\d+).*?exitcode +: (-?\d+)", log, re.DOTALL)
    words = re.search(r"^[\w.]*(?:Error|Exception): .*", log, re.MULTILINE)  # of the first traceback
    if found is None:
        return f"its {count} processes did not come up, or died{f': {words[0]}' if words else ''}"
    who, code = f"process {found[1]} of {count} died", int(found[2])
    return f"{who} ({how_it_died(code)}){f': {words[0]}' if words and code >= 0 else ''}"


def main(words: list[str]) -> None:
    """Start torchrun in this process, which ends with its parent."""
    parent, count, folder = words
    die_with(int(parent))
    steady()
    signal.signal(signal.SIGUSR2, signal.SIG_IGN)  # the processes inherit it; the parent is told, and tells
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # they are all here: nothing listens outside
    with socket.socket() as found:  # a free port; should another process be quicker, the next try finds one
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    from torch.distributed.run import main as torchrun

    torchrun(
        [
            # a fixed meeting point: torchrun's others unpickle what any process that finds their port sends
            "--rdzv-backend=static",
            "--master-addr=127.0.0.1",
            f"--master-port={port}",
            "--nnodes=1",
            f"--nproc-per-node={count}",
            "--max-restarts=0",  # `Retries` decides, and starts all of them anew
            f"--log-dir={folder}",
            "--module",
            "tabench.runs.local.torchrun_process",
            folder,
        ]
    )


if __name__ == "__main__":
    main(sys.argv[1:])
