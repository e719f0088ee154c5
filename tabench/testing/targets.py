"""Made-up predictions and targets of a registered task."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from torch import Tensor

from tabench.catalog import DATASETS, TASKS
from tabench.errors import TabenchError
from tabench.tasks.base import Evaluation, Task

SIZE = (12, 16)
IMAGES = 4
IDS = [f"val/{number}" for number in range(IMAGES + 1)]  # one more for an image put beside them
CLASSED, BINARY = ("label", "parts"), ("saliency", "edge")  # kinds of integer targets with -1 = ignore
CHANNELS = {"label": 5, "parts": 4, "depth": 1, "disparity": 1, "normal": 3, "saliency": 1, "edge": 1}


def make(name: str) -> Task:
    """A task with the channels that a dataset gives it; a target of its own kind cannot be made up here."""
    kind = TASKS.get(name)
    if kind.needs not in CHANNELS:
        pytest.skip(f"'{name}' needs a target of the kind '{kind.needs}', which the battery cannot make up")
    channels = next(filter(None, _offered(name)), CHANNELS[kind.needs])
    return kind(channels, [f"class {number}" for number in range(channels)])


def _offered(name: str) -> Iterator[int]:
    """Channels that datasets give a task; one that cannot be loaded fails tests of its own."""
    for dataset in DATASETS.names():
        with contextlib.suppress(TabenchError):
            yield DATASETS.get(dataset).task_channels.get(name, 0)


def rounding(task: Task) -> float:
    """How far numbers that should be one may be apart; those of tabench are the same to the bit."""
    return 0.0 if TASKS.entry(task.name).source == "tabench" else 1e-6


def target_of(task: Task, valid: float = 0.8) -> Tensor:
    """Targets of IMAGES images; a pixel has one with probability `valid`."""
    rng = np.random.default_rng(0)
    nothing = rng.random((IMAGES, *SIZE)) >= valid
    if task.needs in CLASSED + BINARY:
        label = rng.integers(0, 2 if task.needs in BINARY else task.channels, (IMAGES, *SIZE))
        label[nothing] = -1
        return torch.from_numpy(label)
    target = rng.normal(size=(IMAGES, CHANNELS[task.needs], *SIZE))
    if task.needs == "normal":
        target /= np.linalg.norm(target, axis=1, keepdims=True)
    else:
        target = np.abs(target) + 0.5
    return torch.from_numpy(np.where(nothing[:, None], 0, target).astype(np.float32))


def labelled(task: Task, target: Tensor) -> Tensor:
    """(B, H, W) mask of the pixels that have a target."""
    return target != -1 if task.needs in CLASSED + BINARY else target.abs().sum(dim=1) > 0


def raw_of(task: Task, seed: int = 1) -> Tensor:
    """Raw channels of IMAGES images."""
    return torch.randn(IMAGES, task.channels, *SIZE, generator=torch.Generator().manual_seed(seed))


def fitted(task: Task, target: Tensor) -> Tensor:
    """Raw channels that the task's own loss was minimised over, pixel by pixel."""
    raw = raw_of(task).requires_grad_()
    optimiser = torch.optim.Adam([raw], lr=0.1)
    for step in range(300):
        optimiser.param_groups[0]["lr"] = 0.1 * (1 - step / 300)
        optimiser.zero_grad()
        (task.loss(raw, target) * target.numel()).backward()
        optimiser.step()
    return raw.detach()


def measured(
    task: Task, raw: Tensor, target: Tensor, protocol: str, batch: int = 9, ids: Sequence[str] = IDS
) -> Evaluation:
    """An evaluation that has seen some images, a batch at a time."""
    evaluation = task.evaluation(protocol)
    for at in range(0, len(raw), batch):
        part = slice(at, min(at + batch, len(raw)))
        evaluation.update(task.activate(raw[part]), target[part], ids[part])
    return evaluation
