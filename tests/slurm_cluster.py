"""What the tests on a real Slurm do to it.

Its nodes are daemons of this machine, so that killing one is killing its processes. SLURM_CONF and
TABENCH_SLURM_DIR come from the script that started it. No wait depends on how fast the machine
is: a cell that something is to happen to is held (SIGSTOP) until it happens.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import options, records
from patience import PATIENCE
from tiny_run import write_weights

from tabench.runs.slurm.queue import Queued, cells_of, command, open_submissions

QUEUE = Path("slurm/nyuv2")
CALM = 4.0  # a node takes a credential of the second in which a job was revoked for a revoked one
EPOCH = 12  # steps
RECIPE = "dataset.generate={seed=0, train=24, val=2, height=48, width=64}"
MARKS = [
    pytest.mark.slurm,
    pytest.mark.slow,
    pytest.mark.skipif("TABENCH_SLURM_DIR" not in os.environ, reason="no Slurm cluster: nox -s slurm"),
]
_waits: dict[str, float] = {}


def words(results: str, methods: str, steps: int, *more: str) -> list[str]:
    """Options of a run whose epochs have 12 steps, with a checkpoint after each step."""
    own = (f"--select=method={methods}", f"--set=train.max_steps={steps}", "--checkpoint-every=0")
    return options(results, f"--set={RECIPE}", *own, "--threads=1", "--set=train.epochs=50", *more)


def on_slurm(*more: str) -> list[str]:
    """Settings of the tests; `more` are further ones."""
    return ["--executor=slurm", *(f"--slurm={text}" for text in ("time=30", "notice_seconds=30", *more))]


def run_inline(folder: Path, *asked: str) -> dict[str, bytes]:
    """Records of an undisturbed run in a folder of its own, by cell id."""
    write_weights(folder / "nano.safetensors")
    code = "from tabench.cli import main; main()"
    environment = {**os.environ, "TABENCH_CACHE": str(folder / "cache")}
    program = [sys.executable, "-c", code, "run", *asked, "--executor=inline"]
    subprocess.run(program, cwd=folder, env=environment, check=True, timeout=PATIENCE, capture_output=True)
    return records(folder / "inline")


def journal(cell: str) -> list[dict[str, Any]]:
    """A cell's events."""
    file = QUEUE / cell / "journal.jsonl"
    if not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text().splitlines() if line.endswith("}")]


def count(cell: str, event: str) -> int:
    """How often a cell has journalled an event."""
    return sum(line["event"] == event for line in journal(cell))


def facts(cell: str) -> dict[str, Any]:
    """A cell's run.json."""
    return dict(json.loads((QUEUE / cell / "run.json").read_text()))


def there(experiment: Path = QUEUE) -> dict[str, Queued]:
    """Cells that wait or run."""
    found = cells_of(open_submissions(experiment))
    return {cell: last.queued for cell, last in found.items() if last.queued and last.waiting}


def until(what: Callable[[], bool], process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for something; a process that must go on meanwhile is looked after."""
    deadline = time.monotonic() + PATIENCE
    while not what():
        if process is not None and process.poll() is not None and not what():
            output, _ = process.communicate()
            raise AssertionError(f"it ended with {process.returncode}: {output.decode()}")
        assert time.monotonic() < deadline, "it did not happen in time"
        _hurry()
        time.sleep(0.2)


def end_of(process: subprocess.Popen[bytes]) -> tuple[int, str]:
    """Wait for a process; its exit code and what it printed."""
    until(lambda: process.poll() is not None)
    output, _ = process.communicate()
    return process.returncode, output.decode()


def _hurry() -> None:
    """Let requeued elements begin: Slurm has them wait two minutes, which an operator may lift."""
    waits = {one.element for one in there().values() if one.state == "PENDING" and "BeginTime" in one.why}
    for element in waits:
        if time.monotonic() - _waits.setdefault(element, time.monotonic()) > CALM:
            command(["scontrol", "update", f"JobId={element}", "StartTime=now"])
    for element in set(_waits) - waits:
        del _waits[element]


def running_cell(process: subprocess.Popen[bytes], steps: int = 3) -> str:
    """The one cell, once it has written some checkpoints more and is held."""
    until(lambda: any(one.state == "RUNNING" for one in there().values()), process)
    (cell,) = there()
    hold(cell, steps, process)
    return cell


def hold(cell: str, steps: int = 3, process: subprocess.Popen[bytes] | None = None) -> int:
    """Stop a cell's process as it is after some more checkpoints; its number."""
    until(lambda: holder(cell) is not None, process)
    until(lambda: _last_attempt(cell).count("checkpoint") >= steps, process)
    pid = holder(cell)
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    return pid


def _last_attempt(cell: str) -> list[str]:
    names = [line["event"] for line in journal(cell)]
    return names[len(names) - names[::-1].index("start") :] if "start" in names else []


def holder(cell: str) -> int | None:
    """The process that runs a cell, if one says so and lives."""
    try:
        pid = int(json.loads((QUEUE / cell / "claim.json").read_text())["pid"])
        os.kill(pid, 0)
    except (OSError, ValueError):
        return None
    return pid


def job_number(element: str) -> str:
    """The number of an array's element: what it is known under on its node."""
    found = re.search(r"JobId=(\d+)", command(["scontrol", "show", "job", element]))
    assert found is not None
    return found[1]


def restarts(element: str) -> int:
    """How often Slurm has begun an element again."""
    found = re.search(r"Restarts=(\d+)", command(["scontrol", "show", "job", element]))
    assert found is not None
    return int(found[1])


def processes(begin: str) -> list[int]:
    """Processes whose command line begins so."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if line.startswith(begin):
            found.append(int(folder.name))
    return found


def kill_node(node: str, cell: str, element: str) -> None:
    """End a node's daemon and all it runs, at once."""
    daemon = Path(os.environ["TABENCH_SLURM_DIR"]) / f"slurmd-{node}.pid"
    keepers = processes(f"slurmstepd: [{job_number(element)}.")
    task = holder(cell)
    assert task is not None
    assert keepers
    for pid in (int(daemon.read_text()), *keepers, task):
        os.kill(pid, signal.SIGKILL)


def bring_back(node: str) -> None:
    """Bring a node back."""
    subprocess.run(["slurmd", "-f", os.environ["SLURM_CONF"], "-N", node], check=True, timeout=PATIENCE)


def show(text: str) -> None:
    """Counts for whoever reads the log (pytest -s)."""
    print(text)  # noqa: T201


def node_state(node: str) -> str:
    """Slurm's word for a node."""
    return command(["sinfo", "-h", "-p", "main", "-n", node, "-o", "%T"]).strip()
