"""``python -m fuzz --inputs 20000``: feeds every reader, prints what became of it; exit code 1 on a fault."""

from __future__ import annotations

import argparse
import json
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

from fuzz import FORMATS
from fuzz.child import feed
from fuzz.target import KEPT

HEADS = ("format", "tried", "accepted", "refused", "faults", "slowest", "peak")
LIMIT_S = 120.0  # beside what the inputs may take


def main(words: list[str]) -> int:
    """Feed the targets that are asked for."""
    parser = argparse.ArgumentParser(prog="fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=20_000, help="contents a format (fewer of costly ones)")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of contents")
    parser.add_argument("--only", default="", help="a module of this folder, or a part of a format's name")
    parser.add_argument("--leave", default="\0", help="leave out formats whose name contains this")
    parser.add_argument("--json", type=Path, help="write the counts to this file")
    parser.add_argument("--keep", type=Path, help="folder for contents that led to a fault")
    asked = parser.parse_args(words)
    tallies = []
    say = partial(print, flush=True)
    say("{:<22}{:>8} {:>9} {:<42} {:>6} {:>8} {:>8}".format(*HEADS))
    formats = [asked.only] if asked.only in FORMATS else FORMATS
    targets = {name: make for form in formats for name, make in import_module(f"fuzz.{form}").TARGETS.items()}
    for name, make in targets.items():
        if asked.leave in name or (asked.only not in FORMATS and asked.only not in name):
            continue
        tally = feed(make, name, asked.inputs, asked.seed, LIMIT_S + asked.inputs * 0.5, asked.keep)
        tallies.append(tally)
        refused = ", ".join(f"{count} {kind}" for kind, count in tally.refused.most_common())
        say(
            f"{name:<22}{tally.tried:>8} {tally.accepted:>9} {refused:<42} {len(tally.faults):>6} "
            f"{tally.slowest_s:>6.2f} s {tally.peak_mb:>5.0f} MB"
        )
        for fault in list(dict.fromkeys(tally.faults))[:KEPT]:
            say(f"    {fault[:400]}")
    if asked.json is not None:
        asked.json.write_text(json.dumps([vars(tally) for tally in tallies]))
    return int(any(tally.faults for tally in tallies))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
