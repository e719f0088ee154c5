"""``tabench doctor --determinism``: one short cell of the demo, several times."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from tabench.cli.options import Asked
from tabench.cli.running import generate_data

if TYPE_CHECKING:
    from tabench.provenance.machine import Finding
    from tabench.runs.executor import Job

SHORT = (
    "dataset.generate={seed=0, train=8, val=2, height=48, width=64}",
    "axes.seeds=[0]",
    "train.max_steps=8",
    "train.batch_size=2",
    "evaluation.every=0",
    "evaluation.pictures=1",
)


def repeats(device: str) -> list[Finding]:
    """Train and evaluate TA-LoRA on synthetic rooms twice alike, and once with another number of threads.

    Each time is a process of its own; nothing is kept.

    Args:
        device: As for ``tabench run``.
    """
    from tabench.engine.device import choose_device
    from tabench.provenance.environment import usable_cores
    from tabench.provenance.machine import Finding
    from tabench.runs.repeating import differences, try_cell

    place = choose_device(device)
    threads = max(1, usable_cores())
    other = threads - 1 or 2
    with tempfile.TemporaryDirectory(prefix="tabench-") as folder:
        job = _job(Path(folder), device)
        first, again, fewer = (
            try_cell(job, Path(folder) / name, device, count)
            for name, count in (("first", threads), ("again", threads), ("fewer", other))
        )
    what = f"{len(first.losses)} steps of ta-lora on {place.type}"
    found = []
    if place.type == "cuda":
        found.append(_flags(first.environment.get("environment", {})))
    unlike = differences(first, again)
    if unlike:
        hint = "look at the switches above; on the CPU try MKL_CBWR=COMPATIBLE or --threads 1"
        message = f"{what} came out differently the second time: {'; '.join(unlike)}"
        found.append(Finding("problem", message, hint))
    else:
        message = f"{what} came out twice, bit by bit: every loss, the trained weights and the whole record"
        found.append(Finding("ok", message))
    unlike = differences(first, fewer)
    if unlike:
        found.append(
            Finding(
                "note",
                f"with {other} threads instead of {threads}: {'; '.join(unlike)}",
                "sums are added up in another order; give --threads where numbers must be equal",
            )
        )
    else:
        found.append(Finding("ok", f"with {other} threads instead of {threads}: the same, bit by bit"))
    return found


def _job(folder: Path, device: str) -> Job:
    asked = Asked(
        "nyuv2", profile="demo", overrides=list(SHORT), select=["method=ta-lora"], results=folder / "none"
    )
    plan = asked.plan(device)
    generate_data(plan)
    (job,) = plan.jobs()
    return job


def _flags(environment: dict[str, object]) -> Finding:
    import torch

    from tabench.provenance.machine import Finding

    flags = {
        "deterministic algorithms": environment.get("deterministic"),
        "CUBLAS_WORKSPACE_CONFIG": os.environ.get("CUBLAS_WORKSPACE_CONFIG", "unset"),
        "cuDNN benchmark": torch.backends.cudnn.benchmark,
        "TF32 in cuDNN": torch.backends.cudnn.allow_tf32,
        "matrix products": torch.get_float32_matmul_precision(),
    }
    return Finding("ok", "in force: " + ", ".join(f"{name} {value}" for name, value in flags.items()))
