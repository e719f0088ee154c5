"""How long commands take on 20,000 made-up runs; run by `nox -s bench-plan`, `bench-report`, `bench-store`.

Limits are of processor time and 1 GB of memory: `plan` 3 s with an index, `report` 60 s and a page of 5 MB,
`store` 60 s for what only reads. Copies are synced to the disk file by file, so merging takes as long as the
disk needs: `--merged` runs of it.
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import tempfile
from pathlib import Path

from made_up_store import Shape, make, options, shape_of
from measuring import Log, say

PAGE_MB = 5.0


def plan(root: Path, shape: Shape, given: argparse.Namespace, log: Log) -> None:
    """`plan` and `status`, without an index and with one."""
    limit, turns, results = given.limit or 3.0, given.turns or 5, root / "results"
    index = results / "nyuv2" / ".index.json"
    seeds = f"--set=axes.seeds={list(range(shape.seeds))}"
    planning = ("plan", "nyuv2", "--profile=demo", seeds, f"--results={results}")
    status = ("status", "nyuv2", f"--results={results}")
    for name, words in (("plan", planning), ("status", status)):
        index.unlink(missing_ok=True)
        log.run(f"{name}, without an index", *words)
        log.run(f"{name}, with it", *words, turns=turns, cpu_s=limit)
        log.run(f"{name} --json, with it", *words, "--json", turns=turns, cpu_s=limit)
    say(f"index {index.stat().st_size / 1e6:.1f} MB")
    for home in sorted(index.parent.glob("*/record.json"))[:100]:
        shutil.rmtree(home.parent)
    log.run("status, 100 cells gone", *status, cpu_s=limit)
    shutil.rmtree(results)
    log.run("plan, nothing run yet", *planning, cpu_s=2 * limit)


def report(root: Path, shape: Shape, given: argparse.Namespace, log: Log) -> None:
    """`report`, and the size of its page."""
    words = ["report", "nyuv2", *(["--all-runs"] if given.all_runs else [])]
    limit = None if given.all_runs else given.limit or 60.0
    log.run("report", *words, cwd=root, turns=given.turns or 1, cpu_s=limit)
    home = root / "reports" / "nyuv2"
    pages = len(list((home / "runs").glob("*.html")))
    page = (home / "index.html").stat().st_size / 1e6
    whole = sum(path.stat().st_size for path in home.rglob("*") if path.is_file()) / 1e6
    say(f"{pages} run pages, index.html {page:.1f} MB, {whole:.0f} MB written")
    if page > PAGE_MB:
        log.over.append(f"index.html of {page:.1f} MB (at most {PAGE_MB:g} MB)")


def store(root: Path, shape: Shape, given: argparse.Namespace, log: Log) -> None:
    """`store verify`, `store merge` and `export table`."""
    make(root / "other", dataclasses.replace(shape, cells=given.merged))
    reading = {"cwd": root, "turns": given.turns or 1, "cpu_s": given.limit or 60.0}
    log.run("store verify", "store", "verify", **reading)
    for words in (("runs.parquet",), ("runs.csv",), ("images.parquet", "--per-image")):
        log.run(f"export table {' '.join(words)}", "export", "table", "nyuv2", "--out", *words, **reading)
    merging = ("store", "merge", "other", "--results", "merged")
    log.run(f"store merge, {given.merged} new", *merging, cwd=root)
    log.run(f"store merge, {given.merged} known", *merging, **reading)


def main() -> None:
    """Write the cells, then time the commands."""
    kinds = {"plan": plan, "report": report, "store": store}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=kinds)
    options(parser)
    parser.add_argument("--limit", type=float, help="processor seconds")
    parser.add_argument("--turns", type=int, help="how often each command is run")
    parser.add_argument("--merged", type=int, default=1000, help="runs that are merged into an empty folder")
    parser.add_argument("--all-runs", action="store_true", help="a page for every run; no limit of time")
    given = parser.parse_args()
    shape, log = shape_of(given), Log()
    with tempfile.TemporaryDirectory() as place:
        make(Path(place) / "results", shape)
        kinds[given.what](Path(place), shape, given, log)
    log.end()


if __name__ == "__main__":
    main()
