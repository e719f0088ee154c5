"""Which function measures a part of a job."""

from __future__ import annotations

from typing import Any, cast

from tabench.engine.bench.harness import time_harness
from tabench.engine.bench.inference import time_inference
from tabench.engine.bench.jobs import Job, Place
from tabench.engine.bench.paths import memory_of_path, time_paths
from tabench.sam.msam import Path as Way


def measure(job: Job, place: Place, part: str) -> dict[str, Any]:
    """Measure a part of a job in this process."""
    if part.startswith("memory-"):
        return memory_of_path(job, place, cast(Way, part.removeprefix("memory-")))
    return {"paths": time_paths, "inference": time_inference, "harness": time_harness}[job.kind](job, place)
