"""Feeds a target in a process of its own, memory and time bounded: a crash or a hang ends only that."""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

from fuzz.target import CANARY, Tally, Target, memory_kb

MB = 1 << 20


def feed(
    make: Callable[[], Target], name: str, inputs: int, seed: int, limit_s: float, keep: Path | None
) -> Tally:
    """Make a target in a fork and feed it.

    Args:
        make: Builds the target; what it imports stays in the fork.
        name: The target's name.
        inputs: How many contents of ordinary cost.
        seed: Of the choice of contents.
        limit_s: Seconds after which the fork is killed and counted as hung.
        keep: Folder for contents that led to a fault.
    """
    with tempfile.TemporaryDirectory(prefix="fuzz-") as place:
        answer = Path(place) / "tally.json"
        pid = os.fork()
        if pid == 0:
            _child(make, inputs, seed, Path(place), keep)
        ended = _wait(pid, limit_s)
        if answer.is_file():
            found = json.loads(answer.read_text())
            return Tally(**{**found, "refused": Counter(found["refused"])})
        return Tally(name, faults=[ended])


def _wait(pid: int, limit_s: float) -> str:
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            code = os.waitstatus_to_exitcode(status)
            return f"the process crashed: {signal.Signals(-code).name if code < 0 else f'exit code {code}'}"
        time.sleep(0.01)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return f"hung for {limit_s:.0f} s"


def _child(make: Callable[[], Target], inputs: int, seed: int, place: Path, keep: Path | None) -> None:
    try:
        os.environ[CANARY] = str(place / "ran")
        folder = place / "files"
        folder.mkdir()
        target = make()
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Reading `.npy`")  # NumPy's word on what Python 2 wrote: it is read
        warnings.filterwarnings(
            "ignore", "Detected pickle protocol|Validating sparse tensor"
        )  # torch's word before it refuses
        warnings.filterwarnings("ignore", category=UserWarning, module="PIL")  # passed over; pixels are whole
        tally = _fed(target, max(1, inputs // target.cost), seed, folder, keep)
        (place / "part").write_text(json.dumps(vars(tally)))
        (place / "part").rename(place / "tally.json")
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
    os._exit(0)


def _fed(target: Target, inputs: int, seed: int, folder: Path, keep: Path | None) -> Tally:
    warm = Tally(target.name)
    tally = Tally(target.name)
    sys.unraisablehook = lambda found: tally.left.append(
        f"{type(found.exc_value).__name__}: {found.exc_value}"
    )

    @seeded(seed)
    @settings(
        max_examples=inputs,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def each(content: bytes) -> None:
        if not warm.tried:  # the first reading imports what it needs: not a content's fault
            warm.feed(target, content, folder, None)
            limit = 1024 * memory_kb("VmSize") + target.memory_mb * MB
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        tally.feed(target, content, folder, keep)

    each()
    return tally
