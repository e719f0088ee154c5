"""How long `tabench report` takes for 20,000 runs; run by `nox -s bench-report`.

The runs are made up (see `made_up_store`). Limits: 60 s of processor time, 1 GB, and a page of 5 MB.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from made_up_store import make, options, shape_of
from measuring import Log, say

PAGE_MB = 5.0


def main() -> None:
    """Make the records, render them, compare with the limits."""
    parser = argparse.ArgumentParser(description=__doc__)
    options(parser)
    parser.add_argument("--limit", type=float, default=60.0, help="processor seconds")
    parser.add_argument("--turns", type=int, default=1)
    parser.add_argument("--all-runs", action="store_true", help="a page for every run; no limit of time")
    given = parser.parse_args()
    log = Log()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make(root / "results", shape_of(given))
        words = ["report", "nyuv2", *(["--all-runs"] if given.all_runs else [])]
        limit = None if given.all_runs else given.limit
        log.run("report", *words, cwd=root, turns=given.turns, cpu_s=limit)
        home = root / "reports" / "nyuv2"
        pages = len(list((home / "runs").glob("*.html")))
        page = (home / "index.html").stat().st_size / 1e6
        whole = sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) / 1e6
        say(f"{pages} run pages, index.html {page:.1f} MB, {whole:.0f} MB written")
    if page > PAGE_MB:
        log.over.append(f"index.html of {page:.1f} MB (at most {PAGE_MB:g} MB)")
    log.end()


if __name__ == "__main__":
    sys.exit(main())
