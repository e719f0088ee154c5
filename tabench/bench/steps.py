"""Training steps: each method's against LoRA-HPS's, in the harness, and with images read from a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import count, islice
from pathlib import Path
from typing import Any

from tabench.bench.counting import counted
from tabench.bench.jobs import HARNESS_STEPS, LOADED_IMAGES, Job, Place, loader_steps
from tabench.bench.subject import Subject, plain_loss
from tabench.bench.timing import Work, measured, ratio
from tabench.catalog import DATASETS
from tabench.data.base import Split
from tabench.data.loading import Batch, batches, evaluation_batches
from tabench.data.pack import Source, open_pack
from tabench.data.packs import build_pack
from tabench.engine.checkpoint import CheckpointStore
from tabench.engine.loop import PREFETCH, train_unit
from tabench.store.encoding import significant

LEAST = 16  # pixels of a synthetic room's side
REFERENCE = "lora-hps"  # the cheapest method that adapts the encoder: one LoRA, one pass for all tasks


def compare_steps(job: Job, place: Place) -> dict[str, Any]:
    """Time a training step of the job's method and one of LoRA-HPS in turn, both on the fast path.

    Returns "models" (of the method), times of "step" and "reference", their "flops" and "ratio". LoRA-HPS
    against itself shows what the machine's noise alone makes of a ratio.
    """
    own, other = Subject(job, place), Subject(replace(job, method=REFERENCE, params={}), place)
    ways: dict[str, Work] = {
        "step": partial(own.train, "fast"),
        "reference": partial(other.train, "fast"),
    }
    flops = counted(ways)
    figures = measured(ways, flops, job, own.device)
    found = {"models": len(own.parts), **figures, "flops": flops}
    return found | {"ratio": ratio(figures, "step", "reference")}


def time_loader(job: Job, place: Place) -> dict[str, Any]:
    """Time training steps on images from a folder beside the same steps on one batch that is there already.

    The folder holds synthetic rooms in NYUv2's layout, as large as the size's images. They are read as runs
    read them: packed, augmented, batched and fetched ahead. Returns "steps" of a round, "dataset", times of
    "bare", "end_to_end", "packed" and "source" (the last two without training: from the pack, and decoded
    anew), "images_per_s" of each, and "ratio" (end to end over bare).
    """
    subject, dataset = Subject(job, place), DATASETS.get("scenes")
    steps, device = loader_steps(job, place), subject.device
    kinds = {task.needs for task in subject.tasks.values()}
    with tempfile.TemporaryDirectory() as folder:
        root, pack = Path(folder) / "data", Path(folder) / "pack"
        height, width = (max(LEAST, side) for side in job.where.image)
        images = -(-LOADED_IMAGES // job.batch) * job.batch  # whole batches
        dataset.make(root, seed=0, train=images, val=1, height=height, width=width)
        source = Source(dataset.name, "", "train")
        decoded = dataset.split(root, "train")
        build_pack(pack, source, decoded)
        packed = open_pack(pack, source, decoded)
        assert packed is not None  # it was just built

        def read(split: Split) -> Iterator[Batch]:
            """The steps' batches, of as many epochs as they take."""
            epochs = (
                batches(
                    split,
                    seed=0,
                    epoch=epoch,
                    batch_size=job.batch,
                    augment="clean",
                    prefetch=PREFETCH,
                    device=device,
                    kinds=kinds,
                )
                for epoch in count()
            )
            return islice((batch for epoch in epochs for batch in epoch), steps)

        ready = [next(read(packed))] * steps

        def train(split: Split | None) -> None:
            for batch in ready if split is None else read(split):
                subject.batch = batch
                subject.train("fast")

        ways: dict[str, Work] = {
            "bare": partial(train, None),
            "end_to_end": partial(train, packed),
            "packed": lambda: list(read(packed)),
            "source": lambda: list(read(decoded)),
        }
        for work in ways.values():
            work()
        figures = measured(ways, ways, job, device)
    pace = {
        way: significant(steps * job.batch / timed["median_s"], 4)
        for way, timed in figures.items()
        if "median_s" in timed
    }
    found = {"steps": steps, "dataset": dataset.title, **figures, "images_per_s": pace}
    return found | {"ratio": ratio(figures, "end_to_end", "bare")}


def time_harness(job: Job, place: Place) -> dict[str, Any]:
    """Time `HARNESS_STEPS` steps of both loops in turn.

    Returns "steps", times of "bare" and "harness" for all steps, "overhead" (share of the bare loop's median
    that the harness takes more; negative where it took less) and "overhead_s" a step.
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
            plain_loss(part.model, context, batch, context.unit.tasks)[0].backward()
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
