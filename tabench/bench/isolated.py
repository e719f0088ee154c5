"""A measurement in a fresh process, forked from a server that has imported everything and computed nothing.

Memory is then the measurement's own, threads are as the job wants them, and no import is paid twice.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Mapping
from multiprocessing.connection import Connection
from typing import Any

from tabench.bench.jobs import Job, Place
from tabench.errors import TabenchError

Json = dict[str, Any]


class MeasurementError(TabenchError):
    """A measurement's process failed."""


def apart(job: Job, place: Place, part: str) -> Json:
    """Measure a part of a job ("time", "memory-plain", "memory-fast") in a process of its own.

    Raises:
        MeasurementError: The process raised an error or was killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tabench.bench.isolated", "tabench.bench.measures"])
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

    torch.set_num_threads(place.threads)
    try:
        pipe.send({"found": measure(job, place, part)})
    except Exception as error:
        pipe.send({"error": f"{type(error).__name__}: {error}"})
    pipe.close()
