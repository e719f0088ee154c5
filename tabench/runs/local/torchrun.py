"""One cell in several processes of this machine, started by torchrun.

The processes are anew for each try, since a device that failed stays broken in the process that used it.
Between them and this process go JSON lines: a job file in a folder of its own, events and the outcome from
the first process' standard output, the word to stop on its standard input.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from tabench.events import Failed, Interrupted, read_event
from tabench.provenance.environment import usable_cores
from tabench.runs.deaths import how_it_died, record_death, speak_for
from tabench.runs.executor import CellEvent, Job, Listener, Options, Outcome, jobs_content
from tabench.runs.retrying import ProcessDiedError
from tabench.store.atomic import write_json

JOB_FILE: Final = "job.json"
STOP: Final = b"stop"
LOOK_SECONDS: Final = 0.2  # how often a stop is noticed
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
    own = replace(options, threads=options.threads or share)
    folder = Path(tempfile.mkdtemp(prefix="tabench-"))
    try:
        write_json(folder / JOB_FILE, jobs_content([job], own))
        with (folder / "stderr").open("w+b") as log:
            outcome = _run(job, own, folder, log.fileno(), listener, should_stop)
        if outcome is not None:
            return outcome
        if should_stop():
            return _interrupted(job, options, listener)
        return _died(job, options, (folder / "stderr").read_text(errors="replace"), listener)
    except KeyboardInterrupt:
        return _interrupted(job, options, listener)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _run(
    job: Job, options: Options, folder: Path, log: int, listener: Listener, should_stop: Callable[[], bool]
) -> Outcome | None:
    """The outcome as the first process tells it; None if it died before."""
    words = [str(os.getpid()), str(options.processes), str(folder)]
    agent = subprocess.Popen(
        [sys.executable, "-u", "-m", "tabench.runs.local.torchrun_agent", *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=log,
        env={**os.environ, "OMP_NUM_THREADS": str(options.threads)},
        start_new_session=True,  # Ctrl-C reaches this process, which passes the word on
    )
    outcome: Outcome | None = None
    try:
        for line in _lines(agent, should_stop):
            if "event" in line:
                event = read_event(line["event"], line["facts"])
                if event is not None:
                    listener(CellEvent(job.cell.id, event))
            else:
                outcome = Outcome(job, line["outcome"], str(line["kind"]), str(line["message"]))
                break
        with suppress(subprocess.TimeoutExpired):
            agent.wait(LEAVE_SECONDS if outcome is not None else None)
    finally:
        _end(agent)
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


def _end(agent: subprocess.Popen[bytes]) -> None:
    """End torchrun, if it still runs, and with it all processes of the cell."""
    with suppress(ProcessLookupError):
        if agent.poll() is None:
            os.killpg(agent.pid, signal.SIGKILL)
    agent.wait()
    for pipe in (agent.stdin, agent.stdout):
        with suppress(OSError):
            if pipe is not None:
                pipe.close()


def _interrupted(job: Job, options: Options, listener: Listener) -> Outcome:
    """A stop that did not wait for the processes, or that came before they could listen."""
    speak_for(job, options.results, listener, Interrupted())
    return Outcome(job, "interrupted", message="interrupted; the last checkpoint is kept")


def _died(job: Job, options: Options, log: str, listener: Listener) -> Outcome:
    """A failure of the kind "infrastructure": the first process ended without an outcome."""
    error = ProcessDiedError(_cause(log, options.processes))
    error.add_note("\n".join(log.splitlines()[-LOG_LINES:]))
    outcome = record_death(options.results, job, error)
    if outcome.state == "failed":
        failed = Failed(kind=outcome.kind, message=outcome.message)
        speak_for(job, options.results, listener, failed)
    return outcome


def _cause(log: str, count: int) -> str:
    """Which process torchrun says began it, and how it ended."""
    found = re.search(r"Root Cause.*?rank +: (\d+).*?exitcode +: (-?\d+)", log, re.DOTALL)
    words = re.search(r"^[\w.]*(?:Error|Exception): .*", log, re.MULTILINE)  # of the first traceback
    if found is None:
        return f"its {count} processes did not come up, or died{f': {words[0]}' if words else ''}"
    who, code = f"process {found[1]} of {count} died", int(found[2])
    return f"{who} ({how_it_died(code)}){f': {words[0]}' if words and code >= 0 else ''}"
