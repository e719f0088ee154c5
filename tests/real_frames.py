"""Real photographs for tests, where there are any: TABENCH_REAL, or ../shared/real beside the repository."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tabench.data.base import Split
from tabench.data.loading import evaluation_batches
from tabench.tasks.base import Evaluation, Task
from tabench.testing.test_datasets import check_sample

BESIDE = Path(__file__).resolve().parents[1].parent / "shared" / "real"
FRAMES = Path(os.environ.get("TABENCH_REAL") or BESIDE)


def needs(path: str) -> pytest.MarkDecorator:
    """Skip without a file or folder of the frames."""
    reason = "no real frames: set TABENCH_REAL, or put them in ../shared/real"
    return pytest.mark.skipif(not (FRAMES / path).exists(), reason=reason)


def as_arrays(name: str, folder: Path, *options: str) -> Path:
    """Write a set of frames as a folder of arrays, with the script that lies beside them."""
    command = [sys.executable, str(FRAMES / "to_npy.py"), str(FRAMES / name), str(folder)]
    subprocess.run([*command, *options], check=True, capture_output=True)
    return folder


def check_images(split: Split, size: tuple[int, int], classes: int) -> None:
    """Each image of a split, augmented, is of the size and keeps to the contract of all datasets."""
    for index in range(len(split)):
        sample = split.load(index, draw=(0, 0))
        assert sample.image.shape[1:] == size
        check_sample(sample, classes)


def noise(task: Task, split: Split, batch_size: int = 3) -> Iterator[tuple[Tensor, Tensor, list[str], float]]:
    """Predictions from random channels, targets, ids and loss of each batch; loss and gradient are finite."""
    generator = torch.Generator().manual_seed(0)
    for batch in evaluation_batches(split, batch_size):
        target = batch.targets[task.needs]
        size = batch.image.shape[-2:]
        raw = torch.randn(len(batch.ids), task.channels, *size, generator=generator, requires_grad=True)
        loss = task.loss(raw, target)
        loss.backward()  # type: ignore[no-untyped-call]
        assert math.isfinite(loss.item())
        assert raw.grad is not None
        assert torch.isfinite(raw.grad).all()
        yield task.activate(raw), target, list(batch.ids), loss.item()


def evaluations(
    task: Task, split: Split, protocol: str, truth: Callable[[Tensor], Tensor]
) -> tuple[Evaluation, Evaluation]:
    """What random predictions and those that `truth` makes of the targets are measured as."""
    random, perfect = task.evaluation(protocol), task.evaluation(protocol)
    for prediction, target, ids, _ in noise(task, split):
        random.update(prediction, target, ids)
        perfect.update(truth(target), target, ids)
    return random, perfect


def one_hot(labels: Tensor, channels: int) -> Tensor:
    """Certain predictions (B, C, H, W) of labels (B, H, W); class 0 where a pixel has none."""
    return torch.nn.functional.one_hot(labels.clamp(min=0), channels).movedim(-1, 1).float()


def best(task: Task) -> dict[str, float]:
    """The best value of each metric that both "paper" and "pixel" have."""
    return {metric.key: 100 if metric.better == "higher" else 0 for metric in task.metrics_in("pixel")}
