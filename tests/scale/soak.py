"""Kill everything, again and again, and compare what is left with an undisturbed run; run by `nox -s soak`.

Two commands share one results folder. They and the processes of their pools get SIGKILL at random moments
(most of them when a process is seen in a given phase of a cell, since some phases last milliseconds only),
are stopped for a while, or asked to end; whatever ends is started again. A round is over when every cell has
a record; rounds follow until enough were killed. In every other round the two commands are on two hosts, as
far as they know. The data are generated and tiny, the models small: nothing here is a result.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

from soak_cells import PHASES, Guard, cells, journal, leftovers, seen
from soak_processes import COMMAND, Parents, Process, carrying

EXPERIMENT = """
schema = 1
name = "{name}"
title = "soak"

[axes]
methods = ["ta-lora", "ta-lora-cp", "lora-stl", "lora-hps", "full-stl", "full-hps"]
seeds = [{seeds}]

[profiles.soak]
note = "Synthetic rooms; nothing here is a result."
dataset = {{ name = "scenes", tasks = ["segmentation", "depth", "normals"], generate = {recipe} }}
backbone = {{ name = "sam_vit_nano", pixel_norm = "sam" }}
train = {{ epochs = 3, batch_size = 4, task_weights = {{ segmentation = 1, depth = 1, normals = 4 }} }}
evaluation = {{ {evaluation} }}
"""
RECIPE = "{ seed = 0, train = 12, val = 6, height = 48, width = 64 }"
LAST = 'selection = "last", every = 1, pictures = 2'
BEST = 'selection = "best-val", val_split = "train", every = 1, pictures = 1'
NAMES = ("soak-last", "soak-best")
HOW = ["--executor=pool", "--workers=1", "--threads=1", "--checkpoint-every=0.4"]
SILENCE = 6.0  # seconds without a heartbeat after which a claim of the other host is dead
END_SECONDS = 600.0  # beyond the limit of time, for a round to end undisturbed
AIM_SECONDS = 20.0  # how long a phase is waited for
SHARES = {"kill": 0.72, "stop": 0.2, "ask": 0.08}


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def tabench(environment: dict[str, str], *words: str) -> tuple[int, Any]:
    """Run a command to its end; exit code and what it printed as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *words, "--json"], env=environment, capture_output=True, check=False
    )
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        raise SystemExit(f"tabench {' '.join(words)}: {done.stderr.decode()}") from None


def environment_of(cache: Path) -> dict[str, str]:
    """Variables of all commands: one thread, a cache of their own, a short silence."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TABENCH_")}
    root = str(Path(__file__).parents[2])
    return kept | {
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH")))),
        "TABENCH_CACHE": str(cache),
        "TABENCH_SILENCE": str(SILENCE),
    }


class Killer:
    """Chooses moments and victims; `pause` is the mean of seconds between two of them."""

    def __init__(self, rng: random.Random, pause: float) -> None:
        self.rng, self.pause = rng, pause
        self.kills = 0
        self.histogram: Counter[tuple[str, str]] = Counter()
        self.asked: Counter[str] = Counter()
        self.stops: Counter[str] = Counter()

    def disturb(self, parents: Parents, results: Path, hosts: bool) -> None:
        """Wait for a moment, choose a victim, do something to it."""
        rng = self.rng
        time.sleep(rng.expovariate(1 / self.pause))
        aim = rng.choice([*PHASES[:-1], "", ""])  # idle ones are met often enough
        what = rng.choices(list(SHARES), list(SHARES.values()))[0]
        kind = "parent" if rng.random() < 0.3 else "worker"
        late = rng.uniform(0, 0.02 if aim in ("checkpoint", "record") else 0.5)
        victim = self._victim(parents, results, aim, kind)
        if victim is None:
            return
        time.sleep(late if aim else 0)
        if what == "stop":
            self._stop(victim, rng.uniform(0.2, 5 * SILENCE if hosts else 3.0))
        elif what == "ask":
            self.asked[victim.kind] += victim.send(signal.SIGTERM)
        elif parents.kill(victim):
            self.kills += 1
            at = seen(results, worker_of(parents, victim).pid)
            self.histogram[victim.kind, at.phase] += 1

    def _victim(self, parents: Parents, results: Path, aim: str, kind: str) -> Process | None:
        """A process; with an aim, one that is in that phase now, or the parent of it."""
        until = time.monotonic() + AIM_SECONDS
        while aim and time.monotonic() < until:
            for worker in parents.live("worker"):
                if seen(results, worker.pid).phase == aim:
                    boss = [p for p in parents.live("parent") if p.pid == worker.parent]
                    return boss[0] if kind == "parent" and boss else worker
            time.sleep(0.001)
        if aim:
            return None
        found = parents.live(kind) or parents.live()
        return self.rng.choice(found) if found else None

    def _stop(self, victim: Process, seconds: float) -> None:
        if victim.send(signal.SIGSTOP):
            self.stops[victim.kind] += 1
            begun = time.time()
            victim.stopped.append((begun, begun + seconds))
            threading.Timer(seconds, victim.send, [signal.SIGCONT]).start()


def worker_of(parents: Parents, process: Process) -> Process:
    """The process that works for a parent: the last one seen; a worker is its own."""
    if process.kind == "worker":
        return process
    own = [p for p in parents.processes.values() if p.kind == "worker" and p.parent == process.pid]
    return max(own, key=lambda p: p.alive, default=process)


def overlaps(results: Path, parents: Parents) -> tuple[int, int]:
    """Starts of a cell while another process was at it: (one at work, one that was stopped and silent)."""
    together, silent = 0, 0
    known = {p.pid: p for p in parents.processes.values()}
    for cell in cells(results):
        open_pid = None
        for event in journal(cell):
            if event["event"] == "start":
                before = known.get(open_pid) if open_pid else None
                if before is not None and before.alive > event["t"] and before.pid != event.get("pid"):
                    asleep = any(a <= event["t"] <= b + 1 for a, b in before.stopped)
                    together, silent = together + (not asleep), silent + asleep
                open_pid = event.get("pid")
            elif event["event"] in ("done", "failed", "interrupted"):
                open_pid = None
    return together, silent


class Soak:
    """The whole of it, in a folder of its own."""

    def __init__(self, given: argparse.Namespace, home: Path) -> None:
        self.given, self.home = given, home
        self.killer = Killer(random.Random(given.seed), given.pause)
        self.until = time.monotonic() + 60 * given.minutes
        self.counts, self.kinds, self.codes, self.events = (Counter[str]() for _ in range(4))
        self.faults: list[str] = []
        self.slowest = 0.0
        for name, evaluation, seeds in zip(NAMES, (LAST, BEST), ("0, 1", "0"), strict=True):
            text = EXPERIMENT.format(name=name, seeds=seeds, recipe=RECIPE, evaluation=evaluation)
            (home / f"{name}.toml").write_text(text, encoding="utf-8")

    def words(self, name: str, results: Path) -> list[str]:
        """A run of one of the two experiments."""
        return ["run", str(self.home / f"{name}.toml"), f"--results={results}", *HOW]

    def run(self) -> int:
        """Undisturbed, then rounds; the exit code."""
        began = time.monotonic()
        undisturbed = self.home / "undisturbed"
        for name in NAMES:
            code, _ = tabench(
                environment_of(self.home / "cache"), *self.words(name, undisturbed), "--workers=2"
            )
            if code:
                raise SystemExit(f"the undisturbed run of {name} ended with {code}")
        reference = {cell.name: (cell / "record.json").read_bytes() for cell in cells(undisturbed)}
        say(
            f"undisturbed: {len(reference)} cells in {time.monotonic() - began:.0f} s; seed {self.given.seed}"
        )
        while self.killer.kills < self.given.kills and time.monotonic() < self.until:
            self.counts["rounds"] += 1
            self.round(self.counts["rounds"], reference)
        if self.killer.kills < self.given.kills:
            self.fault(
                f"time is up: {self.killer.kills} of {self.given.kills} in {self.given.minutes:g} minutes; "
                "--minutes gives more"
            )
        self.report(len(reference), time.monotonic() - began)
        return 1 if self.faults else 0

    def fault(self, text: str) -> None:
        """Something that must not be."""
        self.faults.append(text)
        say(f"FAULT: {text}")

    def round(self, number: int, reference: dict[str, bytes]) -> None:
        """One results folder from nothing to its last record, under fire; then the checks."""
        place = self.home / f"round-{number}"
        results, logs = place / "results", place / "logs"
        logs.mkdir(parents=True)
        results.mkdir()
        environment = environment_of(place / "cache")
        apart = self.given.hosts == 2 and number % 2 == 1
        hosts = ["", "soak-b" if apart else ""]
        parents = Parents([self.words(n, results) for n in NAMES], hosts, environment, logs)
        guard = Guard(results, reference)
        said = time.monotonic()
        while guard.done < len(reference) and time.monotonic() < self.until + END_SECONDS:
            if self.killer.kills < self.given.kills and time.monotonic() < self.until:
                self.killer.disturb(parents, results, apart)
            else:
                time.sleep(0.2)
            guard.look()
            if time.monotonic() - said > 10:
                said = time.monotonic()
                say(f"round {number}: {guard.done}/{len(reference)} done, {self.killer.kills} killed")
        if not parents.finish(60):
            self.fault(f"round {number}: commands did not end by themselves")
        left = carrying(f"TABENCH_CACHE={place / 'cache'}")
        self.counts["processes left at the end of a round"] += len(left)
        if left:
            self.fault(f"round {number}: {len(left)} processes are left")
        if guard.done == len(reference):
            for name in NAMES:  # a last look: what kills left of finished cells goes now
                code, _ = tabench(environment, *self.words(name, results))
                if code:
                    self.fault(f"round {number}: the last run of {name} ended with {code}")
        guard.look()
        self.check(number, results, environment, guard, parents)

    def check(
        self, number: int, results: Path, environment: dict[str, str], guard: Guard, parents: Parents
    ) -> None:
        """What must hold after a round."""
        undisturbed = self.home / "undisturbed"
        self.kinds += guard.kinds
        self.codes += parents.codes
        self.counts["commands"] += parents.starts
        self.counts["processes"] += len(parents.processes)
        self.counts["orphans"] += len(parents.orphans)
        self.slowest = max(self.slowest, parents.slowest)
        for what in ("torn or different", "written again", "lost"):
            self.counts[what] += guard.counts[what]
            if guard.counts[what]:
                self.fault(f"round {number}: {guard.counts[what]} records {what}")
        if parents.orphans:
            self.fault(f"round {number}: {len(parents.orphans)} processes outlived their command")
        for log in parents.tracebacks:
            self.fault(f"round {number}: a traceback in {log}")
        for kind in guard.kinds:
            if kind not in ("infrastructure", "interrupted"):
                self.fault(f"round {number}: a cell failed as {kind}")
        for cell in cells(undisturbed):
            self._check_cell(number, cell, results / cell.parent.name / cell.name)
        extra = {c.name for c in cells(results)} - {c.name for c in cells(undisturbed)}
        if extra:
            self.fault(f"round {number}: folders of no cell: {sorted(extra)}")
        together, silent = overlaps(results, parents)
        self.counts["starts overlapping a live process"] += together
        self.counts["takeovers from a process stopped beyond the silence"] += silent
        if together:
            self.fault(f"round {number}: {together} starts overlapped")
        self._check_left(number, results)
        code, verified = tabench(environment, "store", "verify", f"--results={results}")
        self.counts["problems of store verify"] += verified["problems"]
        if code or verified["problems"]:
            self.fault(f"round {number}: store verify: {json.dumps(verified)}")
        for name in NAMES:
            code, status = tabench(environment, "status", name, f"--results={results}")
            states = Counter(row["state"] for row in status["cells"])
            if code or set(states) != {"done"}:
                self.fault(f"round {number}: status of {name}: {dict(states)}")
            self.counts["done by status"] += states["done"]

    def _check_cell(self, number: int, expected: Path, cell: Path) -> None:
        for name in ("record.json", "checksums.json"):
            same = (cell / name).is_file() and (cell / name).read_bytes() == (expected / name).read_bytes()
            self.counts[f"{name} equal"] += same
            if not same:
                self.fault(f"round {number}: {cell.name}/{name} is missing or differs")
        events = journal(cell)
        counted = Counter(event["event"] for event in events)
        self.events += counted
        if counted["done"] != 1:
            self.fault(f"round {number}: {cell.name} says done {counted['done']} times")
        try:
            run = json.loads((cell / "run.json").read_bytes())
            if run["attempts"] > counted["start"]:
                self.fault(
                    f"round {number}: {cell.name}: {run['attempts']} attempts, {counted['start']} starts"
                )
        except (OSError, ValueError, KeyError) as error:
            self.fault(f"round {number}: {cell.name}/run.json: {error!r}")

    def _check_left(self, number: int, results: Path) -> None:
        for what, paths in leftovers(results).items():
            self.counts[f"left: {what}"] += len(paths)
            if what != "temporary files of shared folders":
                self.fault(f"round {number}: left {what}: {', '.join(paths[:3])} ({len(paths)})")

    def report(self, count: int, seconds: float) -> None:
        """All counts."""
        killer = self.killer
        say(f"\nseed {self.given.seed}, {count} cells a round, {seconds / 60:.1f} minutes")
        rows = {
            "SIGKILL": killer.kills,
            **{f"SIGKILL: {kind} at {phase}": n for (kind, phase), n in sorted(killer.histogram.items())},
            **{f"SIGTERM: {kind}": n for kind, n in sorted(killer.asked.items())},
            **{f"SIGSTOP and SIGCONT: {kind}": n for kind, n in sorted(killer.stops.items())},
            **{name: self.counts[name] for name in sorted(self.counts)},
            **{f"journal: {name}": self.events[name] for name in WORDS},
            **{f"failure.json: {kind}": n for kind, n in sorted(self.kinds.items())},
            **{f"commands ended by {code}": n for code, n in sorted(self.codes.items())},
            "slowest end of a killed command's own processes, s": round(self.slowest, 2),
        }
        for name, value in rows.items():
            say(f"  {name:58}{value:>8}")
        for text in [f"{len(self.faults)} faults", *self.faults]:
            say(f"  {text}")


WORDS = ("start", "resume", "retry", "interrupted", "failed", "done")


def main() -> None:
    """Read the command line, soak, exit with 0 or 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="SIGKILLs that must have hit")
    parser.add_argument("--seed", type=int, default=0, help="of all choices")
    parser.add_argument("--pause", type=float, default=1.0, help="mean seconds between two disturbances")
    parser.add_argument("--minutes", type=float, default=40, help="after which no more is killed")
    parser.add_argument("--hosts", type=int, choices=(1, 2), default=2, help="1: never two host names")
    parser.add_argument("--keep", type=Path, help="folder for everything; default: one that is removed")
    given = parser.parse_args()
    if given.hosts == 2 and subprocess.run(["unshare", "--uts", "true"], capture_output=True).returncode:
        say("unshare is refused here: all rounds on one host name")
        given.hosts = 1
    if given.keep is not None:
        given.keep.mkdir(parents=True)
        sys.exit(Soak(given, given.keep.resolve()).run())
    with tempfile.TemporaryDirectory(prefix="soak.") as place:
        sys.exit(Soak(given, Path(place)).run())


if __name__ == "__main__":
    main()
