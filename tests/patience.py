"""How long tests wait for what must happen: for its condition, however slow the machine is."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable

# Only against waiting for ever: nothing takes a tenth of it. A very slow machine may ask for more.
PATIENCE = 1200.0 * float(os.environ.get("TABENCH_TEST_PATIENCE", "1"))
LOOK_SECONDS = 0.02


def until(happened: Callable[[], object], what: str = "it") -> None:
    """Wait until something has happened."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, f"{what} did not happen in {PATIENCE:.0f} s"
        time.sleep(LOOK_SECONDS)


def output_of(process: subprocess.Popen[bytes]) -> str:
    """Wait for a process to end; what it printed."""
    try:
        output, _ = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        raise AssertionError(f"it did not end in {PATIENCE:.0f} s: {output.decode()}") from None
    return output.decode()
