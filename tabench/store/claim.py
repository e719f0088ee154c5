"""One process a cell: a small file says who runs it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tabench.errors import StoreError
from tabench.store.atomic import write_json

BEAT_SECONDS = 15.0
SILENT_SECONDS = 300.0  # a claim from another host that was silent for so long is dead


class ClaimedError(StoreError):
    """Another process runs this cell."""


class Claim:
    """Holds a cell for this process; a context manager.

    The file names host, pid and the process's start; its modification time is the heartbeat,
    kept fresh by a thread. A claim whose process is gone is taken over.

    Args:
        path: The claim file.

    Raises:
        ClaimedError: On entering, if a live process holds it.
        StoreError: On entering, if the file cannot be written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="claim", daemon=True)

    def __enter__(self) -> Self:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with _locked(self.path.parent):
                if is_live(self.path):
                    holder = _read(self.path) or {}
                    raise ClaimedError(
                        f"process {holder.get('pid')} on {holder.get('host')} is running this cell",
                        where=str(self.path.parent),
                        hint="wait for it, or stop it first",
                    )
                write_json(self.path, _identity())
        except OSError as error:
            raise StoreError(f"cannot be claimed: {error.strerror or error}", where=str(self.path)) from error
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        if _read(self.path) == _identity():
            self.path.unlink(missing_ok=True)

    def _beat(self) -> None:
        while not self._stop.wait(BEAT_SECONDS):
            with contextlib.suppress(OSError):
                os.utime(self.path)


def is_live(path: Path) -> bool:
    """Whether a running process holds a claim file.

    On this host the process must still be the one that took it; on another host its heartbeat
    must be younger than `SILENT_SECONDS`.
    """
    try:
        silent = time.time() - path.stat().st_mtime
    except OSError:
        return False
    holder = _read(path)
    if holder is not None and holder.get("host") == socket.gethostname():
        pid = holder.get("pid")
        return isinstance(pid, int) and alive(pid) and holder.get("started") == _started(pid)
    return silent < SILENT_SECONDS


def _identity() -> dict[str, Any]:
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": _started(os.getpid())}


def _read(path: Path) -> dict[str, Any] | None:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None


def alive(pid: int) -> bool:
    """Whether a process of this host runs; one that is dead and not yet waited for does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return _stat(pid)[:1] != ["Z"]  # dead, but nobody has asked how it ended


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot, so that a reused pid is noticed; "" off Linux."""
    return "".join(_stat(pid)[19:20])


def _stat(pid: int) -> list[str]:
    """What Linux says of a process, from its state on; empty off Linux."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return []
    return stat.rpartition(")")[2].split()


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep two processes from taking over the same dead claim at once."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: the claim file alone must do
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
