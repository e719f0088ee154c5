"""The soak's processes: parents that are started again whenever they end, and all that descends from them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

COMMAND = "from tabench.cli import main; main()"
LOOK_SECONDS = 0.01
REST_SECONDS = 1.0  # of a parent between two commands
GRACE_SECONDS = 3.0  # a killed parent's processes must be gone by then


@dataclass
class Process:
    """One process that was seen alive."""

    pid: int
    started: str  # ticks since boot, so that a reused number is noticed
    kind: Literal["parent", "worker"]  # a command, or a process of its pool
    parent: int  # the command's number
    alive: float  # when it was last seen alive, in seconds since 1970
    gone: bool = False  # whether it was seen dead afterwards
    stopped: list[tuple[float, float]] = field(default_factory=list)  # when, and when continued

    def send(self, number: signal.Signals) -> bool:
        """Send a signal; whether it was still there."""
        if started(self.pid) != self.started:
            return False
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False


def started(pid: int) -> str:
    """When a process started, in ticks; "" for a dead one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]


def carrying(text: str) -> list[int]:
    """Processes that have a text among their variables, whoever their parents are."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if text.encode() in path.read_bytes() and started(int(path.parent.name)):
                found.append(int(path.parent.name))
    return found


class Parents:
    """Two or more commands on one results folder, each started again until it is told not to.

    Each parent goes through the commands in turn, from its own place on; `hosts` are their host names, "" for
    this one's; `logs` is the folder of their output.
    """

    def __init__(
        self,
        commands: Sequence[Sequence[str]],
        hosts: Sequence[str],
        environment: dict[str, str],
        logs: Path,
    ) -> None:
        self.commands, self.hosts, self.environment, self.logs = commands, hosts, environment, logs
        self.processes: dict[tuple[int, str], Process] = {}
        self.codes: Counter[str] = Counter()
        self.starts = 0
        self.orphans: list[Process] = []
        self.slowest = 0.0  # seconds between a parent's death and that of the last of its processes
        self.tracebacks: list[Path] = []
        self._running: list[subprocess.Popen[bytes] | None] = [None] * len(hosts)
        self._log = [logs] * len(hosts)
        self._next = [0.0] * len(hosts)
        self._turn = list(range(len(hosts)))  # which command comes next
        self._killed: set[int] = set()
        self._dead: dict[int, float] = {}
        self._going = True
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def live(self, kind: str = "") -> list[Process]:
        """Those that run now."""
        with self._lock:
            found = [p for p in self.processes.values() if not p.gone and kind in ("", p.kind)]
        return [p for p in found if started(p.pid) == p.started]

    def kill(self, process: Process) -> bool:
        """SIGKILL; whether it was still there."""
        if process.kind == "parent":
            self._killed.add(process.pid)
        return process.send(signal.SIGKILL)

    def finish(self, seconds: float) -> bool:
        """Start none again, and wait for all to end; False if they had to be killed."""
        self._going = False
        until = time.monotonic() + seconds
        while time.monotonic() < until and any(process is not None for process in self._running):
            time.sleep(0.05)
        late = self.live()
        for process in late:
            process.send(signal.SIGKILL)
        time.sleep(GRACE_SECONDS if late or self._dead else 0.1)
        self._thread_end = True
        self._thread.join()
        return not late

    _thread_end = False

    def _watch(self) -> None:
        while not self._thread_end:
            began = time.monotonic()
            with self._lock:
                for place in range(len(self.hosts)):
                    self._tend(place)
                self._look()
            time.sleep(max(0.001, LOOK_SECONDS - (time.monotonic() - began)))

    def _tend(self, place: int) -> None:
        process = self._running[place]
        if process is not None and process.poll() is not None:
            self._ended(place, process)
            self._running[place] = process = None
            self._next[place] = time.monotonic() + REST_SECONDS
        if process is None and self._going and time.monotonic() >= self._next[place]:
            self._running[place] = self._start(place)

    def _start(self, place: int) -> subprocess.Popen[bytes]:
        words = [sys.executable, "-c", COMMAND, *self.commands[self._turn[place] % len(self.commands)]]
        self._turn[place] += 1
        if self.hosts[place]:
            name = self.hosts[place]
            words = ["unshare", "--uts", "sh", "-c", f'hostname {name}; exec "$@"', "sh", *words]
        self._log[place] = self.logs / f"{self.starts:04d}.log"
        self.starts += 1
        with self._log[place].open("wb") as log:
            process = subprocess.Popen(
                words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env=self.environment
            )
        self._meet(process.pid, "parent", process.pid)
        return process

    def _ended(self, place: int, process: subprocess.Popen[bytes]) -> None:
        code = process.returncode
        self.codes[signal.Signals(-code).name if code < 0 else f"exit {code}"] += 1
        self._dead[process.pid] = time.time()
        # a process that was just being born when its parent was killed complains about it
        if process.pid not in self._killed and b"Traceback" in self._log[place].read_bytes():
            self.tracebacks.append(self._log[place])

    def _meet(self, pid: int, kind: Literal["parent", "worker"], parent: int) -> None:
        ticks = started(pid)
        if ticks and (pid, ticks) not in self.processes:
            self.processes[pid, ticks] = Process(pid, ticks, kind, parent, time.time())

    def _look(self) -> None:
        for process in self._running:
            if process is None:
                continue
            with suppress(OSError):
                for word in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                    with suppress(OSError):
                        if b"spawn_main" in Path(f"/proc/{word}/cmdline").read_bytes():
                            self._meet(int(word), "worker", process.pid)
        now = time.time()
        for known in self.processes.values():
            if known.gone:
                continue
            if started(known.pid) == known.started:
                known.alive = now
                self._orphaned(known, now)
            else:
                known.gone = True

    def _orphaned(self, process: Process, now: float) -> None:
        died = self._dead.get(process.parent)
        if process.kind == "worker" and died is not None:
            self.slowest = max(self.slowest, now - died)
            if now - died > GRACE_SECONDS and process not in self.orphans:
                self.orphans.append(process)
