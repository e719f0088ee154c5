"""Training steps of this code beside those of another checkout of it. Not a test: it times.

A process for each checkout holds the method's models; they take steps in turn. Prints both medians and the
ratio of this code's to the other's with its 95 % interval, for every method: above 1 it has become slower.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from measuring import ROOT, say

from tabench.bench.timing import interval
from tabench.catalog import METHODS

# Asks nothing of the other checkout but the names that the benchmark has had from its first day.
WORKER = """
import sys, time, torch
from tabench.bench.jobs import Job, Place
from tabench.bench.subject import Subject
method, size, batch, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
subject = Subject(Job("paths", method, size, int(batch)), Place("cpu", int(threads)))
subject.train("fast")
print(sys.modules["tabench"].__file__, flush=True)
for line in sys.stdin:
    began, used = time.perf_counter(), time.process_time()
    subject.train("fast")
    print(time.perf_counter() - began, time.process_time() - used, flush=True)
"""


def main() -> None:
    """Time the methods asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", type=Path, required=True, help="the other checkout's folder")
    parser.add_argument("--backbone", default="b12-256")
    parser.add_argument("--method", action="append", choices=METHODS.names(), help="repeatable; default: all")
    parser.add_argument("--batch-size", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    for method in given.method or METHODS.names():
        words = (method, given.backbone, str(given.batch_size), str(given.threads))
        say(method)
        before, now = compare(given.before.resolve(), words, given.rounds)
        for clock, old, new in zip(
            ("wall", "processor"), np.transpose(before), np.transpose(now), strict=True
        ):
            middle, (low, high) = np.median(new) / np.median(old), interval(new, old) or (np.nan, np.nan)
            say(f"  {clock:10} before {np.median(old):8.4f} s, now {np.median(new):8.4f} s, "
                f"ratio {middle:.3f} ({low:.3f} to {high:.3f})")  # fmt: skip


def compare(other: Path, words: Sequence[str], rounds: int) -> tuple[list[list[float]], list[list[float]]]:
    """Seconds of the steps of both, turn by turn; who begins a round changes with it."""
    with worker(other, words) as before, worker(ROOT, words) as now:
        taken: dict[int, list[list[float]]] = {id(before): [], id(now): []}
        for turn in range(rounds):
            for process in (before, now) if turn % 2 else (now, before):
                taken[id(process)].append([float(value) for value in ask(process).split()])
        return taken[id(before)], taken[id(now)]


@contextmanager
def worker(root: Path, words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A process with the models of a checkout, warmed up."""
    environment = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": words[-1]}
    command = [sys.executable, "-c", WORKER, *words]
    with subprocess.Popen(
        command, cwd=root, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        taken = answer(process)
        if not Path(taken).is_relative_to(root):
            process.kill()
            sys.exit(f"{taken} is not the code in {root}")
        yield process
        assert process.stdin
        process.stdin.close()


def ask(process: subprocess.Popen[str]) -> str:
    """Let a process take a step."""
    assert process.stdin
    process.stdin.write("\n")
    process.stdin.flush()
    return answer(process)


def answer(process: subprocess.Popen[str]) -> str:
    """The next line of a process."""
    assert process.stdout
    line = process.stdout.readline().strip()
    if not line:
        sys.exit("a process ended before it answered")
    return line


if __name__ == "__main__":
    main()
