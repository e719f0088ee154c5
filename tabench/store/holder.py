"""Who holds a claim: one process, told apart from every other one on every machine."""

from __future__ import annotations

import functools
import os
import socket
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from tabench.errors import SpecError
from tabench.store.encoding import parse_json

SILENCE = "TABENCH_SILENCE"  # the variable that changes `SILENT_SECONDS`
SILENT_SECONDS = 300.0  # a claim of another machine that was silent for so long is dead
LEAST_SECONDS = 5.0


@dataclass(frozen=True)
class Holder:
    """A process, as it names itself in its claim."""

    host: str  # host name
    boot: str  # id of the machine's boot, which two machines of one name do not share; "" where it has none
    space: str  # PID namespace: two containers of one machine may give two processes one number; "" off Linux
    pid: int  # process number
    # start in clock ticks since boot (a date on macOS), so that a reused number is noticed; "" where it is
    # not told
    started: str
    # seconds without a heartbeat after which it wishes to be taken for dead by other machines
    silence: float = SILENT_SECONDS

    @classmethod
    def this(cls) -> Self:
        """This process. Raises SpecError: the variable TABENCH_SILENCE is no number of seconds."""
        pid = os.getpid()
        return cls(socket.gethostname(), _boot(), _space(), pid, _started(pid), silence())

    @classmethod
    def from_json(cls, content: bytes) -> Self | None:
        """The holder that a claim names; None for a file that names none."""
        try:
            found: Any = parse_json(content)
            return cls(
                str(found["host"]),
                str(found.get("boot", "")),  # claims had no boot and no space once
                str(found.get("space", "")),
                int(found["pid"]),
                str(found["started"]),
                float(found.get("silence", SILENT_SECONDS)),
            )
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError):
            return None

    def to_json(self) -> dict[str, Any]:
        """The inverse of `from_json`."""
        return asdict(self)

    def near(self) -> bool:
        """Whether its number means the same process here: same host, boot and PID namespace."""
        return (self.host, self.boot, self.space) == (socket.gethostname(), _boot(), _space())

    def runs(self) -> bool:
        """Whether it still runs; only where it is `near`."""
        return alive(self.pid) and _started(self.pid) == self.started


def silence() -> float:
    """Seconds of silence that this process' claims ask for: $TABENCH_SILENCE, or `SILENT_SECONDS`.

    Raises:
        SpecError: The variable is no number, or below `LEAST_SECONDS`.
    """
    text = os.environ.get(SILENCE, "")
    if not text:
        return SILENT_SECONDS
    try:
        seconds = float(text)
    except ValueError:
        seconds = float("nan")
    if not LEAST_SECONDS <= seconds < float("inf"):
        hint = f"a number of seconds, {LEAST_SECONDS:g} or more; without it, {SILENT_SECONDS:g}"
        raise SpecError(f"cannot be '{text}'", where=f"${SILENCE}", hint=hint)
    return seconds


def alive(pid: int) -> bool:
    """Whether a process of this host runs; one that is dead and not yet waited for does not."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):  # or a number that no process has
        return False
    except PermissionError:
        return True
    return _stat(pid)[:1] != ["Z"]  # dead, but nobody has asked how it ended


def _started(pid: int) -> str:
    if sys.platform == "darwin":
        return _answer("ps", "-o", "lstart=", "-p", str(pid))
    return "".join(_stat(pid)[19:20])


def _answer(*words: str) -> str:
    """What a program of the system prints; "" if it fails."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, timeout=10, check=True, env={**os.environ, "LC_ALL": "C"}
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


def _stat(pid: int) -> list[str]:
    """What Linux says of a process, from its state on; empty off Linux, or where /proc is not ours."""
    try:
        if os.readlink("/proc/self") != str(os.getpid()):  # noqa: PTH115 - it is no path, but a number
            return []  # of another PID namespace, whose numbers mean other processes
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return []
    return stat.rpartition(")")[2].split()


@functools.cache
def _boot() -> str:
    if sys.platform == "darwin":
        return _answer("sysctl", "-n", "kern.bootsessionuuid")
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _space() -> str:
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - as above
    except OSError:
        return ""
