"""Which function measures a part of a job."""

from __future__ import annotations

from typing import Any, cast

from tabench.bench.harness import time_harness
from tabench.bench.inference import memory_of_form, time_inference
from tabench.bench.jobs import Job, Place
from tabench.bench.paths import memory_of_path, time_paths
from tabench.bench.profiling import profile_paths
from tabench.encoders.msam import Path as Way


def measure(job: Job, place: Place, part: str) -> dict[str, Any]:
    """Measure a part of a job in this process."""
    if part.startswith("memory-"):
        which = part.removeprefix("memory-")
        if job.kind == "inference":
            return memory_of_form(job, place, which)
        return memory_of_path(job, place, cast(Way, which))
    return {
        "paths": time_paths,
        "inference": time_inference,
        "harness": time_harness,
        "profile": profile_paths,
    }[job.kind](job, place)
