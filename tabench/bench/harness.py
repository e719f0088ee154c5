"""What the harness costs: its training loop against a bare one, over the same model and images.

The harness reads and shuffles the images, derives a seed a step, checks every loss and the last weights,
sums curves, sends events and writes a checkpoint at the end. The bare loop has its batches ready and does
forward, loss, backward and the optimiser's step.
"""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from tabench.bench.jobs import HARNESS_STEPS, Job, Place
from tabench.bench.subject import Subject, plain_loss
from tabench.bench.timing import Work, measured
from tabench.data.loading import evaluation_batches
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.loop import train_unit
from tabench.store.encoding import significant


def time_harness(job: Job, place: Place) -> dict[str, Any]:
    """Time `HARNESS_STEPS` steps of both loops in turn.

    Returns:
        "steps", times of "bare" and "harness" for all steps, "overhead" (share of the bare loop's median that
        the harness takes more; negative where it took less) and "overhead_s" a step.
    """
    subject = Subject(job, place, images=HARNESS_STEPS * job.batch)
    part = subject.parts[0]
    recipe = part.context.cell.train.model_copy(update={"epochs": 1})
    context = replace(part.context, cell=part.context.cell.model_copy(update={"train": recipe}))
    ready = list(evaluation_batches(context.train, job.batch))

    def bare() -> None:
        part.model.train()
        for batch in ready:
            part.optimizer.zero_grad(set_to_none=True)
            plain_loss(part.model, context, batch)[0].backward()
            part.optimizer.step()

    def harness() -> None:
        with tempfile.TemporaryDirectory() as folder:
            train_unit(part.model, context, CheckpointStore(Path(folder)))

    bare()
    harness()
    loops: dict[str, Work] = {"bare": bare, "harness": harness}
    figures = measured(loops, loops, job, subject.device)
    more = figures["harness"]["median_s"] - figures["bare"]["median_s"]
    return {
        "steps": len(ready),
        **figures,
        "overhead": significant(more / figures["bare"]["median_s"], 3),
        "overhead_s": significant(more / len(ready), 3),
    }
