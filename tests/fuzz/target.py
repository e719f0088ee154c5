"""One reader under attack, and what became of the inputs it was given."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from hypothesis.strategies import SearchStrategy

from tabench.errors import TabenchError

SECONDS = 10.0  # of processor time that one input may cost
CANARY = "TABENCH_CANARY"  # names a file that hostile content would make if any of it ran
KEPT = 5  # faults that are shown; the others are counted


class TooSlowError(BaseException):
    """An input cost more than `SECONDS`; no reader catches this."""


@dataclass(frozen=True)
class Target:
    """A public reader and what it is fed.

    Attributes:
        name: As the table calls it, "npy depth".
        inputs: Makes contents, valid ones and broken ones.
        use: Writes a content below a folder and reads it; any TabenchError is a fine answer, another
            exception is not.
        names: Text that every refusal must hold (the file's name); "" where there is no file.
        memory_mb: Address space that reading may take.
        cost: How many ordinary inputs one of these takes the time of.
        refusals: Further exceptions that are this reader's documented way to refuse.
    """

    name: str
    inputs: SearchStrategy[bytes]
    use: Callable[[bytes, Path], object]
    names: str = ""
    memory_mb: int = 768
    cost: int = 1
    refusals: tuple[type[Exception], ...] = ()


def reading(
    name: str,
    file: str,
    inputs: SearchStrategy[bytes],
    read: Callable[[Path], object],
    *,
    refusals: tuple[type[Exception], ...] = (),
    cost: int = 1,
) -> Target:
    """A target that writes each content to `file` below the folder; refusals name it, but for `refusals`."""

    def use(content: bytes, folder: Path) -> object:
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return read(path)

    return Target(name, inputs, use, "" if refusals else Path(file).name, cost=cost, refusals=refusals)


@dataclass
class Tally:
    """What became of a target's inputs.

    Attributes:
        target: Its name.
        tried: Inputs.
        accepted: Of those, read as valid.
        refused: Kind of error to number of inputs refused with it.
        faults: Everything that must not be: other exceptions, refusals that do not name the file, slow
            inputs, executed content.
        slowest_s: Processor seconds of the slowest input.
        peak_mb: Most resident memory that one input added.
        left: Warnings of what a reader left behind: open files.
    """

    target: str
    tried: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest_s: float = 0.0
    peak_mb: float = 0.0
    left: list[str] = field(default_factory=list)

    def feed(self, target: Target, content: bytes, folder: Path, keep: Path | None) -> None:
        """Read one content and note what happened."""
        self.tried += 1
        Path("/proc/self/clear_refs").write_text("5")  # the peak counts from here
        before, began = memory_kb("VmRSS"), time.process_time()
        fault = ""
        if keep is not None:  # what a crash was met with
            keep.mkdir(parents=True, exist_ok=True)
            (keep / f"{target.name.replace(' ', '-')}-last").write_bytes(content)
        try:
            with _bounded():
                target.use(content, folder)
            self.accepted += 1
        except (TabenchError, *target.refusals) as error:
            self.refused[type(error).__name__] += 1
            if _asked_too_much(error):
                fault = f"asked for too much memory first: {error}"
            if target.names not in str(error):
                fault = f"does not name {target.names}: {error}"
        except TooSlowError:
            fault = f"took more than {SECONDS:.0f} s"
        except Exception as error:
            fault = f"{type(error).__name__}: {error} ({_place(error)})"
        self.slowest_s = max(self.slowest_s, time.process_time() - began)
        self.peak_mb = max(self.peak_mb, (memory_kb("VmHWM") - before) / 1024)
        canary = Path(os.environ[CANARY])
        if canary.exists():
            fault = f"was executed: {content[:200]!r}"
            canary.rmdir() if canary.is_dir() else canary.unlink()
        if self.left and not fault:
            fault = self.left[-1]
        self.left.clear()
        if fault:
            self.faults.append(fault)
            if keep is not None:
                keep.mkdir(parents=True, exist_ok=True)
                (keep / f"{target.name.replace(' ', '-')}-{len(self.faults)}").write_bytes(content)


@contextmanager
def _bounded() -> Iterator[None]:
    """Raise TooSlowError once `SECONDS` of processor time are over."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise TooSlowError

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _asked_too_much(error: BaseException | None) -> bool:
    """Whether a refusal came only after there was no memory left."""
    while error is not None:
        if isinstance(error, MemoryError) or "allocate memory" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _place(error: BaseException) -> str:
    """Where an exception left this package."""
    found, trace = "", error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if "/tabench/" in file:
            found = f"{file.rpartition('/tabench/')[2]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def memory_kb(key: str) -> int:
    """What Linux says of this process' memory."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{key}:"))
