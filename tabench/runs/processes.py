"""What a process hears while it runs, and what is known of one that ended without a word."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Self

LOOK_SECONDS = 0.2  # how often a stop is noticed while waiting
PARENT_SECONDS = 1.0  # how often a parent's death is noticed where the system does not tell


class StopFlag:
    """Set by the first Ctrl-C or SIGTERM; the second one interrupts at once, unless the flag is patient."""

    def __init__(self, *, patient: bool = False) -> None:
        self.patient = patient
        self.signals: list[int] = []  # in the order they came

    def __call__(self) -> bool:
        """Whether a stop was asked for."""
        return bool(self.signals)

    def hear(self, number: int, frame: FrameType | None = None) -> None:
        """Take in a signal."""
        if self.signals and not self.patient:
            raise KeyboardInterrupt
        self.signals.append(number)

    @contextmanager
    def listening(self, *signals: signal.Signals) -> Iterator[Self]:
        """Listen inside the block, by default for SIGINT and SIGTERM; previous handlers return afterwards."""
        wanted = signals or (signal.SIGINT, signal.SIGTERM)
        previous = {number: signal.signal(number, self.hear) for number in wanted}
        try:
            yield self
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def wait(seconds: float, should_stop: Callable[[], bool]) -> bool:
    """Wait, unless a stop is asked for; whether the time has passed."""
    until = time.monotonic() + seconds
    while not should_stop():
        left = until - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(LOOK_SECONDS, left))
    return False


def die_with(parent: int) -> None:
    """End this process when its parent is killed, so that nothing goes on unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    else:
        threading.Thread(target=_watch, args=(parent,), name="parent", daemon=True).start()
    if os.getppid() != parent:  # it was killed before we asked
        os._exit(1)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_SECONDS)
    os._exit(1)


def how_it_died(code: int) -> str:
    """A process' exit code in words; only a kill from outside may be the want of memory."""
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, often for want of memory" if name == "SIGKILL" else name
