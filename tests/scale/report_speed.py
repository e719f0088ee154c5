"""How long `tabench report` takes for thousands of runs. Not a test: a loaded machine would make it fail.

Writes made-up records of 7 methods x 286 seeds, renders them in a process of its own and prints its
processor time and peak memory. Ends with 1 if either is over its limit.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
import report_fixtures as made

CPU_S = 20.0
PEAK_MB = 1000.0


def main() -> int:
    """Make the records, render them, compare with the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=2002, help="about how many runs")
    cells = parser.parse_args().cells
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        seeds = tuple(range(max(1, cells // len(made.METHODS))))
        made.write_results(root / "results", seeds=seeds)
        command = [sys.executable, "-c", "from tabench.cli import main; main()", "report", "nyuv2"]
        started = time.monotonic()
        subprocess.run(command, cwd=root, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
        wall = time.monotonic() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu, peak = used.ru_utime + used.ru_stime, used.ru_maxrss / 1024  # KiB on Linux
        pages = len(list((root / "reports" / "nyuv2" / "runs").glob("*.html")))
        megabytes = sum(p.stat().st_size for p in (root / "reports").rglob("*") if p.is_file()) / 1e6
    print(  # noqa: T201
        f"{pages} runs: {cpu:.1f} s processor, {wall:.1f} s wall, {peak:.0f} MB peak, "
        f"{megabytes:.0f} MB written"
    )
    return int(cpu > CPU_S or peak > PEAK_MB)


if __name__ == "__main__":
    sys.exit(main())
