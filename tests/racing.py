"""Processes that go for one claim at the same moment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

RACER = """
import pathlib, sys
from tabench.store.claim import Claim, ClaimedError
print("there", flush=True)
sys.stdin.readline()
try:
    with Claim(pathlib.Path(sys.argv[1])) as held:
        print("won", flush=True)
        sys.stdin.readline()
        held.check()
except ClaimedError:
    print("lost", flush=True)
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start a process that is talked to by lines."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def line(process: subprocess.Popen[str]) -> str:
    """The next line that a process says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def race(path: Path, before: str = "") -> list[str]:
    """Let three processes that are all there go for a claim; what they say, sorted.

    The winner holds the claim until all have spoken.

    Args:
        path: The claim.
        before: Code that each of them runs first.
    """
    racers = [start(before + RACER, str(path)) for _ in range(3)]
    assert [line(racer) for racer in racers] == ["there"] * 3
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    said = sorted(line(racer) for racer in racers)
    for racer in racers:
        racer.communicate()  # closes what the winner waits for
    assert [racer.returncode for racer in racers] == [0, 0, 0]
    return said
