"""Wall-clock, processor time and peak memory of commands, each in a process of its own."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
MAIN = "import sys; from tabench.cli import main; main(sys.argv[1:])"


@dataclass(frozen=True)
class Used:
    """What one command used."""

    wall_s: float
    cpu_s: float
    peak_mb: float


@dataclass
class Log:
    """Prints what commands use, and remembers which went over a limit.

    Attributes:
        over: Names of commands over a limit, with what they used.
    """

    over: list[str] = field(default_factory=list)

    def run(
        self,
        name: str,
        *words: str,
        cwd: Path = ROOT,
        turns: int = 1,
        cpu_s: float | None = None,
        peak_mb: float = 1000.0,
        allowed: Sequence[int] = (0,),
    ) -> list[Used]:
        """Run a command `turns` times; the fastest turn is held against the limits.

        A limit of time is one of processor time: another process on the machine does not make it fail.
        """
        used = [_run(words, cwd, allowed) for _ in range(turns)]
        cpu, wall = ([getattr(u, key) for u in used] for key in ("cpu_s", "wall_s"))
        peak = max(u.peak_mb for u in used)
        line = f"{name:40} processor {_spread(cpu)} s, wall {_spread(wall)} s, peak {peak:4.0f} MB"
        late = (cpu_s is not None and min(cpu) > cpu_s) or peak > peak_mb
        if late:
            self.over.append(line)
        limit = (
            f" (at most {cpu_s:g} s, {peak_mb:g} MB)" if cpu_s is not None else f" (at most {peak_mb:g} MB)"
        )
        say(line + (limit if late else ""))
        return used

    def end(self) -> None:
        """End the process, with 1 if a command was over a limit."""
        sys.exit("over a limit:\n" + "\n".join(self.over) if self.over else 0)


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _run(words: Sequence[str], cwd: Path, allowed: Sequence[int]) -> Used:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    with tempfile.TemporaryFile() as errors:
        began = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN, *words],
            cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=errors,
        )  # fmt: skip
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)  # it has been waited for
        if process.returncode not in allowed:
            errors.seek(0)
            sys.exit(f"{' '.join(words)} ended with {process.returncode}:\n{errors.read().decode()}")
    return Used(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)  # KiB on Linux


def _spread(values: Sequence[float]) -> str:
    """The least, and the median where there are several."""
    least = f"{min(values):6.2f}"
    return least if len(values) < 2 else f"{least} (median {statistics.median(values):.2f})"
