"""Running jobs one after the other; what was measured is on disk at once, and is not measured again."""

from __future__ import annotations

import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tabench.bench.jobs import CHECKED, CHECKS, Job, Place, code_fingerprint, parts_of, seconds
from tabench.bench.reading import BENCH_VERSION
from tabench.catalog import METHODS
from tabench.errors import StoreError, TabenchError
from tabench.provenance.code import code_of
from tabench.provenance.environment import capture
from tabench.store.atomic import write_json
from tabench.store.encoding import read_json
from tabench.text import duration

Json = dict[str, Any]


class MeasurementError(TabenchError):
    """A measurement's process failed."""


def apart(job: Job, place: Place, part: str) -> Json:
    """Measure a part of a job ("time", "memory-plain", "memory-fast") in a process of its own.

    Raises MeasurementError: the process raised an error or was killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tabench.bench.runner", "tabench.bench.measures"])
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=_measure, args=(there, job, place, part))
    child.start()
    there.close()
    try:
        answer: Mapping[str, Any] = here.recv()
    except EOFError:
        child.join()
        raise MeasurementError(
            f"the process ended with code {child.exitcode}; "
            "-9 is a kill, mostly because the machine's memory was used up",
            where=f"{job.name}, {part}",
        ) from None
    finally:
        here.close()
    child.join()
    if "error" in answer:
        raise MeasurementError(str(answer["error"]), where=f"{job.name}, {part}")
    found: Json = answer["found"]
    return found


def _measure(pipe: Connection, job: Job, place: Place, part: str) -> None:
    import torch

    from tabench.bench.measures import measure
    from tabench.provenance.determinism import set_determinism

    threading.Thread(target=_end_with_command, daemon=True).start()
    torch.set_num_threads(place.threads)
    gc.freeze()  # what is imported stays: the collector would walk over it before every round
    if place.device.startswith("cuda"):  # before CUDA is first used
        set_determinism(0)  # no TF32 in what is called fp32; see `Subject.take`
    try:
        pipe.send({"found": measure(job, place, part)})
    except Exception as error:
        pipe.send({"error": f"{type(error).__name__}: {error}"})
    pipe.close()


def _end_with_command() -> None:
    """End this process when the command is killed: the fork server, its parent, would live on with it."""
    if command := multiprocessing.parent_process():
        command.join()
        os._exit(1)


@dataclass
class Runner:
    """Runs jobs and keeps their figures as `<folder>/<job>.json`."""

    folder: Path  # the machine's
    place: Place
    machine: str  # how the page calls it
    say: Callable[[str], None]  # receives progress lines
    again: bool = False  # whether jobs that are there are measured again
    measure: Callable[[Job, Place, str], Json] = apart  # measures a part of a job
    code: str = field(default_factory=code_fingerprint)
    checked: str = field(default_factory=lambda: code_fingerprint(CHECKED))  # the code of checks
    environment: Json = field(default_factory=capture)

    def run(self, jobs: Iterable[Job]) -> tuple[list[Path], list[str]]:
        """Run jobs in order; one that fails does not stop the others.

        Returns the files of the jobs, and the messages of those that failed or found something wrong.
        """
        jobs = list(jobs)
        wanted = [job for job in jobs if self.wants(job)]
        guesses = {job.name: seconds(job, self.place) for job in wanted}
        self.say(
            f"{len(jobs)} measurements, {len(jobs) - len(wanted)} of them there already; "
            f"about {duration(sum(guesses.values()))}"
        )
        took = guessed = 0.0
        failures: list[str] = []
        for number, job in enumerate(wanted):
            left = sum(guesses[later.name] for later in wanted[number:])
            pace = took / guessed if guessed else 1.0
            self.say(f"[{number + 1}/{len(wanted)}] {job.name} ({duration(pace * left)} left)")
            started = time.monotonic()
            try:
                self._run(job)
            except MeasurementError as error:
                failures.append(str(error))
                self.say(f"  failed: {error}")
            took += time.monotonic() - started
            guessed += guesses[job.name]
        for job in jobs:
            found = self._kept(job).get("parts", {}).get("time", {})
            failures += [f"{job.name}: {problem}" for problem in found.get("problems", ())]
        return [self.path(job) for job in jobs if self.path(job).is_file()], failures

    def path(self, job: Job) -> Path:
        """The job's file."""
        return self.folder / f"{job.name}.json"

    def wants(self, job: Job) -> bool:
        """Whether a part of this job is not measured yet with this code and these versions, at this place."""
        return self.again or not set(parts_of(job, self.place)) <= set(self._kept(job).get("parts", ()))

    def _run(self, job: Job) -> None:
        content = {} if self.again else self._kept(job)
        for part in parts_of(job, self.place):
            if part in content.get("parts", {}):
                continue
            started = time.monotonic()
            found = self.measure(job, self.place, part)
            content = {
                **self._asked(job),
                "name": job.name,
                "measured": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "environment": {**self.environment, "threads": self.place.threads},
                "size": _size(job),
                "seconds": round(content.get("seconds", 0.0) + time.monotonic() - started, 1),
                "parts": {**content.get("parts", {}), part: found},
            }
            write_json(self.path(job), content)

    def _asked(self, job: Job) -> Json:
        """What must be equal for figures to be of this job, code, device and place."""
        other = code_of(METHODS, job.method).text  # of another package that the method is of
        return {
            "bench_version": BENCH_VERSION,
            "machine": self.machine,
            "job": job.to_json(),
            "place": asdict(self.place),
            "code": " ".join(filter(None, [self.checked if job.kind in CHECKS else self.code, other])),
        }

    def _kept(self, job: Job) -> Json:
        """What an earlier run left of a job."""
        path = self.path(job)
        if not path.is_file():
            return {}
        try:
            content: Json = read_json(path)
        except StoreError:
            return {}
        same = all(content.get(key) == value for key, value in self._asked(job).items())
        there = content.get("environment", {})
        same = same and all(there.get(key) == self.environment[key] for key in ("python", "packages"))
        return content if same else {}


def _size(job: Job) -> Json:
    size, b = job.where, job.where.backbone
    return {
        "name": size.name,
        "input": b.image_size,
        "patch": b.patch_size,
        "tokens": b.grid,
        "padded_tokens": size.padded,
        "width": b.embed_dim,
        "depth": b.depth,
        "heads": b.num_heads,
        "window": b.window_size,
        "global_blocks": list(b.global_attn_indexes),
        "image": list(size.image),
    }
