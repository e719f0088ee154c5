"""Standard output and error that a run does not depend on: a reader may go away, a disk may fill up."""

from __future__ import annotations

import errno
import io
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Outlet(io.FileIO):
    """A descriptor for output; that it cannot be written is remembered, and from then on it leads nowhere."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.failure: OSError | None = None  # the first error of a write

    def write(self, data: ReadableBuffer, /) -> int:
        """Write; never raises."""
        try:
            while (written := super().write(data)) is None:  # another process made it non-blocking
                select.select([], [self], [])
        except OSError as error:
            self.failure = error
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes
        return written


def steady() -> None:
    """Let no write to this process' standard output and error raise any more.

    A character that the encoding lacks is spelled out. A stream that was closed takes everything and shows
    nothing; else the next file that is opened, perhaps a record, would be what other code prints to. Streams
    that were put in place of the system's own (by a test, a notebook) stay.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which is this one
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if not isinstance(stream, io.TextIOWrapper) or stream is not getattr(sys, f"__{name}__"):
            continue
        stream.flush()
        taken = io.TextIOWrapper(
            io.BufferedWriter(Outlet(stream.fileno())),
            encoding=stream.encoding,
            errors="backslashreplace" if stream.errors == "strict" else stream.errors,
            line_buffering=stream.line_buffering or stream.write_through,
        )
        setattr(sys, name, taken)


def lost_output() -> str:
    """Why standard output could not be written; "" if it was, or if its reader has gone, as it may."""
    if sys.stdout is None:
        return ""
    sys.stdout.flush()
    outlet = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    failure = outlet.failure if isinstance(outlet, Outlet) else None
    return "" if failure is None or failure.errno == errno.EPIPE else failure.strerror or str(failure)


@contextmanager
def ended_by_closed_pipes() -> Iterator[None]:
    """Inside the block, writing to a pipe whose reader has gone ends the process at once and in silence."""
    before = signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGPIPE, before)
