"""What reading, augmenting and scoring an image costs. Not a test: a loaded machine would make it fail.

Generates a few images of every synthetic dataset at the size of the real one. Prints the processor time that
an image takes when it is read from its source and from a pack, augmented singly and in batches, and scored
in its protocols with and without sharing what they measure: minimum and median of several turns, one thread.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from tabench.catalog import DATASETS, TASKS
from tabench.data.base import Sample, Split
from tabench.data.loading import collate, evaluation_batches
from tabench.data.pack import Source, open_pack
from tabench.data.packs import build_pack
from tabench.engine.evaluate import _leaders
from tabench.tasks.base import Task

SIZES = {"scenes": (288, 384), "streets": (128, 256), "figures": (512, 512)}
BATCH = 4


def main() -> None:
    """Measure the datasets asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument(
        "--small", action="store_true", help="the demo's sizes, not those of the real datasets"
    )
    given = parser.parse_args()
    torch.set_num_threads(1)
    for name, size in SIZES.items():
        dataset = DATASETS.get(name)
        height, width = dataset.size if given.small else size
        with tempfile.TemporaryDirectory() as place:
            root = Path(place) / name
            dataset.make(root, seed=0, train=given.images, val=1, height=height, width=width)
            measure(dataset.name, dataset.split(root, "train"), Path(place) / "pack", given.turns)


def measure(name: str, split: Split, folder: Path, turns: int) -> None:
    """Print what one dataset's images cost."""
    source = Source(name, "", "train")
    began = time.process_time()
    build_pack(folder, source, split)
    built = time.process_time() - began
    packed = open_pack(folder, source, split)
    assert packed is not None
    samples = [split.load(index) for index in range(len(split))]
    shape = "x".join(str(size) for size in samples[0].image.shape[1:])
    say(f"\n{name} {shape}: {packed.size / len(split) / 1e6:.2f} MB an image packed, "
        f"built in {1e3 * built / len(split):.1f} ms an image")  # fmt: skip
    every = range(len(split))
    row("read from the source", turns, len(split), lambda: [split.load(i) for i in every])
    row("read from the pack", turns, len(split), lambda: [packed.load(i) for i in every])
    row("batches from the source", turns, len(split), lambda: list(evaluation_batches(split, BATCH)))
    row("batches from the pack", turns, len(split), lambda: list(evaluation_batches(packed, BATCH)))
    augmentation = split.augmentation
    assert augmentation is not None
    row("augmented one by one (NumPy)", turns, len(split),
        lambda: [augmentation.one(s, 0, 0, i) for i, s in enumerate(samples)])  # fmt: skip
    whole = [collate(samples[at : at + BATCH], every[at : at + BATCH]) for at in range(0, len(split), BATCH)]
    row(f"augmented in batches of {BATCH} (torch)", turns, len(split),
        lambda: [augmentation.batch(b.image, b.targets, 0, 0, b.indices) for b in whole])  # fmt: skip
    tasks = tasks_of(name)
    guesses = {task.name: guess(task, samples) for task in tasks}
    for shared, how in ((False, "protocol by protocol"), (True, "protocols sharing")):
        row(f"scored, {how}", turns, len(split), partial(score, tasks, guesses, samples, shared=shared))


def tasks_of(name: str) -> list[Task]:
    """The dataset's tasks, in its protocols."""
    dataset = DATASETS.get(name)
    tasks = [
        TASKS.get(task)(channels, dataset.classes_of(task))
        for task, channels in dataset.task_channels.items()
    ]
    for task in tasks:
        task.follow(dataset.protocols)
    return tasks


def guess(task: Task, samples: list[Sample]) -> torch.Tensor:
    """Random predictions: what they are does not change the work."""
    rng = np.random.default_rng(0)
    shape = (len(samples), task.channels, *samples[0].image.shape[1:])
    return task.activate(torch.from_numpy(rng.normal(size=shape).astype(np.float32)))


def score(
    tasks: list[Task], guesses: dict[str, torch.Tensor], samples: list[Sample], *, shared: bool
) -> None:
    """Update the accumulators of all tasks image by image, and ask for their values."""
    for task in tasks:
        meters = [task.evaluation(protocol) for protocol in task.protocols]
        updated = _leaders(meters) if shared else meters
        for index, sample in enumerate(samples):
            target = torch.from_numpy(np.array(sample.targets[task.needs]))[None]
            for meter in updated:
                meter.update(guesses[task.name][index : index + 1], target, [sample.id])
        for meter in meters:
            meter.compute()


def row(what: str, turns: int, images: int, call: Callable[[], object]) -> None:
    """Print processor time an image, and images a second of processor time."""
    call()
    taken = []
    for _ in range(turns):
        began = time.process_time()
        call()
        taken.append((time.process_time() - began) / images)
    least, middle = min(taken), statistics.median(taken)
    say(f"  {what:38} {1e3 * least:8.2f} ms least {1e3 * middle:8.2f} ms median {1 / middle:8.0f} images/s")


def say(line: str) -> None:
    """Print a line."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
