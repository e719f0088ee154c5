"""Time and memory of one training step and one evaluation, method by method.

Every method is measured in a fresh process, so that peak memory is its own. Weights are random
under SAM's own keys and images are random: neither changes the work. Reading data and writing
checkpoints are not part of these figures.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch

from tabench.catalog import BACKBONES, METHODS, TASKS
from tabench.data.loading import Batch
from tabench.data.nyuv2 import NYUV2
from tabench.engine.gradients import accumulate
from tabench.engine.loop import trained_parameters
from tabench.engine.model import build_unit
from tabench.engine.optim import build_optimizer
from tabench.engine.setting import Setting
from tabench.engine.unit import units_of
from tabench.errors import TabenchError
from tabench.sam.build import build_sam
from tabench.spec.cell import BackbonePart, Cell, DatasetPart, EvaluationPart, MethodPart, TrainPart

NAMES = ("segmentation", "depth", "normals")


@dataclass(frozen=True)
class Job:
    """What is measured.

    Attributes:
        method: Registry name.
        backbone: Registry name.
        batch_size: Images per step.
        height: Image height, pixels.
        width: Image width, pixels.
        repeats: Timed repetitions after one warm-up.
        precision: "fp32" or "bf16".
        device: "cpu" or "cuda".
        threads: CPU threads.
    """

    method: str
    backbone: str = "sam_vit_nano"
    batch_size: int = 1
    height: int = 288
    width: int = 384
    repeats: int = 5
    precision: str = "fp32"
    device: str = "cpu"
    threads: int = 2


def measure_apart(job: Job) -> dict[str, Any]:
    """Measure a job in a fresh process.

    Raises:
        TabenchError: The process failed; the message ends with its last lines.
    """
    done = subprocess.run(
        [sys.executable, "-m", "tabench.engine.bench", json.dumps(asdict(job))],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise TabenchError(
            f"measuring failed: {' | '.join(done.stderr.strip().splitlines()[-3:])}",
            where=f"{job.method} on {job.backbone}",
        )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def measure(job: Job) -> dict[str, Any]:
    """Measure a job in this process.

    Returns:
        The job, "train" and "evaluate" each with median, minimum and maximum seconds for all tasks
        of `batch_size` images, and the process' peak memory in MB.
    """
    torch.set_num_threads(job.threads)
    device = torch.device(job.device)
    cell = _cell(job)
    tasks = {name: TASKS.get(name)(NYUV2.task_channels[name], NYUV2.class_names) for name in NAMES}
    batch = _random_batch(job)
    torch.manual_seed(0)
    state = build_sam(BACKBONES.get(job.backbone)).state_dict()
    base = peak_mb(device)
    prepared = []
    for unit in units_of(cell, METHODS.get(job.method).sharing):
        model = build_unit(cell, unit, state).to(device)
        optimizer = build_optimizer(trained_parameters(model), cell.train)
        empty: Any = ()  # no split is read: the batch is given
        prepared.append((model, optimizer, Setting(cell, unit, tasks, empty, empty, device=device)))

    def train() -> None:
        for step_model, optimizer, setting in prepared:
            step_model.train()
            optimizer.zero_grad(set_to_none=True)
            accumulate(step_model, setting, batch, 0)
            optimizer.step()

    def evaluate() -> None:
        with torch.inference_mode():
            for eval_model, _, setting in prepared:
                eval_model.eval()
                outputs = eval_model(batch.image.to(device), (job.height, job.width))
                for name in setting.unit.tasks:
                    tasks[name].activate(outputs[name].float())

    result = {"train": _timed(train, job), "evaluate": _timed(evaluate, job)}
    return {
        "job": asdict(job),
        "models": len(prepared),
        **result,
        "peak_mb": peak_mb(device),
        "peak_over_start_mb": peak_mb(device) - base,
    }


def peak_mb(device: torch.device) -> float:
    """Peak memory so far in MB: resident on the CPU, allocated on a CUDA device."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    scale = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / scale


def _timed(work: Callable[[], None], job: Job) -> dict[str, float]:
    def synchronise() -> None:
        if job.device == "cuda":
            torch.cuda.synchronize()

    seconds = []
    for attempt in range(job.repeats + 1):
        synchronise()
        start = time.perf_counter()
        work()
        synchronise()
        if attempt:  # the first is a warm-up
            seconds.append(time.perf_counter() - start)
    return {"median_s": statistics.median(seconds), "min_s": min(seconds), "max_s": max(seconds)}


def _cell(job: Job) -> Cell:
    channels = tuple(NYUV2.task_channels[name] for name in NAMES)
    return Cell(
        dataset=DatasetPart(name="nyuv2", fingerprint="random", tasks=NAMES, channels=channels),
        backbone=BackbonePart(name=job.backbone, checkpoint="random"),
        method=MethodPart(name=job.method, params=METHODS.get(job.method).params({})),
        train=TrainPart(batch_size=job.batch_size, precision=job.precision),  # type: ignore[arg-type]
        evaluation=EvaluationPart(),
        seed=0,
    )


def _random_batch(job: Job) -> Batch:
    rng = np.random.default_rng(0)
    shape = (job.batch_size, job.height, job.width)
    normal = torch.from_numpy(rng.standard_normal((job.batch_size, 3, job.height, job.width), np.float32))
    return Batch(
        ids=tuple(f"random/{i}" for i in range(job.batch_size)),
        indices=tuple(range(job.batch_size)),
        image=torch.from_numpy(rng.random((job.batch_size, 3, job.height, job.width), np.float32)),
        targets={
            "label": torch.from_numpy(rng.integers(-1, 13, shape)),
            "depth": torch.from_numpy(rng.uniform(0.5, 8, (job.batch_size, 1, *shape[1:])).astype("f4")),
            "normal": normal / normal.norm(dim=1, keepdim=True),
        },
    )


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Job(**json.loads(sys.argv[1])))) + "\n")
