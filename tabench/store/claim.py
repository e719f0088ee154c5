"""One process a cell: a small file says who runs it.

The claim is linked into place, which fails if there is one already, also between two machines on NFS. Its
modification time is the heartbeat. A holder that is near (see `Holder`) is asked whether it runs; any other
one is dead once its heartbeat has been silent for as long as it wished, by the file system's clock: that of
the machine that stamps the files, not of the one that reads them.

A process may be stopped for longer than that and come back. It asks `Claim.check` before it writes, and goes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import functools
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple, Self

from pydantic import TypeAdapter, ValidationError

from tabench.errors import InterruptedRunError, SpecError, StoreError
from tabench.store.atomic import draft_of
from tabench.store.encoding import dumps

SILENCE = "TABENCH_SILENCE"  # the variable that changes `SILENT_SECONDS`
SILENT_SECONDS = 300.0  # a claim of another machine that was silent for so long is dead
LEAST_SECONDS = 5.0
BEATS = 20  # in the silence after which a holder is taken for dead
TRIES = 5  # to take a claim: others may take and leave it at the same time
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # goes on while a machine sleeps


class ClaimedError(StoreError):
    """Another process runs this cell."""


class ClaimLostError(InterruptedRunError):
    """This process was silent for too long, and another one has taken its cell."""


@dataclass(frozen=True)
class Holder:
    """A process, as it names itself in its claim, told apart from every other one on every machine."""

    host: str
    pid: int
    # start in clock ticks since boot (a date on macOS), so that a reused number is noticed; "" where it is
    # not told
    started: str
    boot: str = ""  # id of the machine's boot, which two machines of one name do not share
    space: str = ""  # PID namespace: two containers of one machine may give two processes one number
    # seconds without a heartbeat after which it wishes to be taken for dead by other machines
    silence: float = SILENT_SECONDS

    @classmethod
    def this(cls) -> Self:
        """This process. Raises SpecError: the variable TABENCH_SILENCE is no number of seconds."""
        pid = os.getpid()
        return cls(socket.gethostname(), pid, _started(pid), _boot(), _space(), silence())

    @staticmethod
    def from_json(content: bytes) -> Holder | None:
        """The holder that a claim names; None for a file that names none."""
        try:
            return TypeAdapter(Holder).validate_json(content)
        except ValidationError:
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


class Claim:
    """Holds a cell for this process; a context manager.

    A thread keeps the heartbeat. A claim whose process is gone is taken over.

    Raises:
        ClaimedError: On entering, if a live process holds it; a StoreError if the file cannot be written.
        SpecError: See `Holder.this`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.holder = Holder.this()
        self._lost = False
        self._sure = 0.0  # when it was last known to be ours
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="claim", daemon=True)

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.path.parent):
                self._take()
        except OSError as error:
            raise StoreError(f"cannot be claimed: {error.strerror or error}", where=str(self.path)) from error
        self._sure = time.clock_gettime(_CLOCK)
        self._thread.start()
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop.set()
        self._thread.join()
        with contextlib.suppress(OSError):
            if self._ours():
                self.path.unlink(missing_ok=True)

    def held(self) -> bool:
        """Whether the cell is still this process' own; looks after half a silence without a heartbeat."""
        if not self._lost and time.clock_gettime(_CLOCK) - self._sure > self.holder.silence / 2:
            self._renew()
        return not self._lost

    def check(self) -> None:
        """Ask before something is written.

        Raises:
            ClaimLostError: Another process has taken the cell, or the claim was removed.
        """
        if not self.held():
            raise ClaimLostError(
                "was silent for too long, and lost its claim: another process may run this cell",
                where=str(self.path.parent),
                hint="nothing is lost; give the same command again",
            )

    def _take(self) -> None:
        content = dumps(self.holder.to_json()).encode()
        mine = draft_of(self.path)
        try:
            _write_new(mine, content)
            for _ in range(TRIES):
                if _link(mine, self.path, content):
                    return
                self._clear(mine.stat().st_mtime)
            raise ClaimedError("other processes take and leave this cell", where=str(self.path.parent))
        finally:
            mine.unlink(missing_ok=True)

    def _clear(self, now: float) -> None:
        """Move a dead holder's claim out of the way; `now` is by the file system's clock."""
        try:
            found = _Found.at(self.path)
        except FileNotFoundError:
            return
        if found.live(now):
            by = found.holder
            who = f"process {by.pid} on {by.host}" if by else "another process"
            hint = "wait for it, or stop it first"
            raise ClaimedError(f"{who} is running this cell", where=str(self.path.parent), hint=hint)
        grave = draft_of(self.path)
        with contextlib.suppress(FileNotFoundError):
            self.path.rename(grave)
            if _Found.at(grave) != found:  # it came back, or another process was quicker than we
                with contextlib.suppress(OSError):  # else its holder will see that it has lost it
                    os.link(grave, self.path)
            grave.unlink()

    def _ours(self) -> bool:
        try:
            return Holder.from_json(self.path.read_bytes()) == self.holder
        except FileNotFoundError:
            return False

    def _beat(self) -> None:
        while not self._lost and not self._stop.wait(self.holder.silence / BEATS):
            self._renew()

    def _renew(self) -> None:
        with contextlib.suppress(OSError):  # a disk that is gone for a while: the next writes will say so
            if not self._ours():
                self._lost = True
                return
            os.utime(self.path)
            self._sure = time.clock_gettime(_CLOCK)


class _Found(NamedTuple):
    """A claim file as it was found."""

    content: bytes
    inode: int
    beat_ns: int  # its heartbeat, since 1970

    @classmethod
    def at(cls, path: Path) -> Self:
        """Read one; opening it first asks an NFS server for its present times."""
        try:
            with path.open("rb") as file:
                content, stat = file.read(), os.fstat(file.fileno())
        except PermissionError:
            content, stat = b"", path.stat()
        return cls(content, stat.st_ino, stat.st_mtime_ns)

    @property
    def holder(self) -> Holder | None:
        """Whom it names."""
        return Holder.from_json(self.content)

    def live(self, now: float) -> bool:
        """Whether its process runs, or may run."""
        holder = self.holder
        if holder is not None and holder.near():
            return holder.runs()
        return now - self.beat_ns / 1e9 < (holder.silence if holder else SILENT_SECONDS)


def is_live(path: Path, now: float | None = None) -> bool:
    """Whether a running process holds a claim file; `now` is by the file system's clock, if it is known."""
    try:
        return _Found.at(path).live(time.time() if now is None else now)
    except OSError:
        return False


def silence() -> float:
    """Seconds of silence that this process' claims ask for: $TABENCH_SILENCE, or `SILENT_SECONDS`."""
    text = os.environ.get(SILENCE, "")
    try:
        seconds = float(text or SILENT_SECONDS)
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


def _write_new(path: Path, content: bytes) -> None:
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _link(mine: Path, path: Path, content: bytes) -> bool:
    """Give a file its second name, unless that is taken; whether it has it now."""
    try:
        os.link(mine, path)
    except FileExistsError:
        return mine.stat().st_nlink == 2  # done, but NFS lost the answer and asked again
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        try:  # no hard links here: between these two calls, the claim names nobody
            _write_new(path, content)
        except FileExistsError:
            return False
    return True


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One process of this machine at a time; NFS has no locks of folders, and does without."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _started(pid: int) -> str:
    if sys.platform == "darwin":
        return _answer("ps", "-o", "lstart=", "-p", str(pid))
    return "".join(_stat(pid)[19:20])


def _answer(*words: str) -> str:
    """What a program of the system prints; "" if it fails."""
    environment = {**os.environ, "LC_ALL": "C"}
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        done = subprocess.run(words, capture_output=True, text=True, timeout=10, check=True, env=environment)
        return done.stdout.strip()
    return ""


def _stat(pid: int) -> list[str]:
    """What Linux says of a process, from its state on; empty off Linux, or where /proc is not ours."""
    with contextlib.suppress(OSError):
        # else it is of another PID namespace, whose numbers mean other processes
        if os.readlink("/proc/self") == str(os.getpid()):  # noqa: PTH115 - it is no path, but a number
            return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return []


@functools.cache
def _boot() -> str:
    if sys.platform == "darwin":
        return _answer("sysctl", "-n", "kern.bootsessionuuid")
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ""


def _space() -> str:
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115 - as above
    return ""
