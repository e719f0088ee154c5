"""How long checking, merging and exporting 20,000 records takes; run by `nox -s bench-store`.

The runs are made up (see `made_up_store`). Limits: 1 GB each, and 60 s of processor time for what only reads.
Copies are synced to the disk file by file, so merging takes as long as the disk needs: `--merged` runs of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from pathlib import Path

from made_up_store import make, options, shape_of
from measuring import Log


def main() -> None:
    """Write the cells, then time the commands."""
    parser = argparse.ArgumentParser(description=__doc__)
    options(parser)
    parser.add_argument("--limit", type=float, default=60.0, help="processor seconds of what only reads")
    parser.add_argument("--merged", type=int, default=1000, help="runs that are merged into an empty folder")
    parser.add_argument("--turns", type=int, default=1)
    given = parser.parse_args()
    shape, log = shape_of(given), Log()
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        make(root / "results", shape)
        make(root / "other", dataclasses.replace(shape, cells=given.merged))
        reading = {"cwd": root, "turns": given.turns, "cpu_s": given.limit}
        log.run("store verify", "store", "verify", **reading)
        for words in (("runs.parquet",), ("runs.csv",), ("images.parquet", "--per-image")):
            log.run(f"export table {' '.join(words)}", "export", "table", "nyuv2", "--out", *words, **reading)
        merging = ("store", "merge", "other", "--results", "merged")
        log.run(f"store merge, {given.merged} new", *merging, cwd=root)
        log.run(f"store merge, {given.merged} known", *merging, **reading)
    log.end()


if __name__ == "__main__":
    main()
