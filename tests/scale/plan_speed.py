"""How long `plan` and `status` take on 20,000 cells; run by `nox -s bench-plan`.

The runs are made up (see `made_up_store`). Limits: 3 s of processor time with an index, and 1 GB.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from made_up_store import make, options, shape_of
from measuring import Log, say


def main() -> None:
    """Write the cells, then time both commands without an index and with one."""
    parser = argparse.ArgumentParser(description=__doc__)
    options(parser)
    parser.add_argument("--limit", type=float, default=3.0, help="processor seconds with an index")
    parser.add_argument("--turns", type=int, default=5, help="how often each is run with an index")
    given = parser.parse_args()
    shape, log = shape_of(given), Log()
    with tempfile.TemporaryDirectory() as place:
        results = Path(place) / "results"
        folder = make(results, shape)
        index = folder / ".index.json"
        seeds = f"--set=axes.seeds={list(range(shape.seeds))}"
        plan = ("plan", "nyuv2", "--profile=demo", seeds, f"--results={results}")
        status = ("status", "nyuv2", f"--results={results}")
        for name, words in (("plan", plan), ("status", status)):
            index.unlink(missing_ok=True)
            log.run(f"{name}, without an index", *words)
            log.run(f"{name}, with it", *words, turns=given.turns, cpu_s=given.limit)
            log.run(f"{name} --json, with it", *words, "--json", turns=given.turns, cpu_s=given.limit)
        say(f"index {index.stat().st_size / 1e6:.1f} MB")
        for home in sorted(folder.glob("*/record.json"))[:100]:
            shutil.rmtree(home.parent)
        log.run("status, 100 cells gone", *status, cpu_s=given.limit)
        shutil.rmtree(results)
        log.run("plan, nothing run yet", *plan, cpu_s=2 * given.limit)
    log.end()


if __name__ == "__main__":
    main()
