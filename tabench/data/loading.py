"""Batches of a split as tensors, for training (shuffled, augmented) and evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tabench.data.base import Sample, Split
from tabench.data.draws import shuffled
from tabench.data.prefetch import prefetched
from tabench.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


class Batch(NamedTuple):
    """Images with their targets, on the CPU.

    Attributes:
        ids: Image ids.
        indices: Positions in the split.
        image: (B, 3, H, W) float32 in 0..1.
        targets: "label" (B, H, W) int64, "depth" or "disparity" (B, 1, H, W) and "normal" (B, 3, H, W)
            float32.
    """

    ids: tuple[str, ...]
    indices: tuple[int, ...]
    image: Tensor
    targets: dict[str, Tensor]


def batch_count(images: int, batch_size: int) -> int:
    """Batches in one pass; the last one may be short."""
    return -(-images // batch_size)


def batches(
    split: Split,
    *,
    seed: int,
    epoch: int,
    batch_size: int,
    augment: bool,
    start: int = 0,
    prefetch: int = 0,
) -> Iterator[Batch]:
    """Batches of one training epoch.

    The order depends on (seed, epoch) and each augmentation on (seed, epoch, position in
    the split), so `start=k` gives exactly the batches from the k-th on of a full pass.

    Args:
        split: What to read.
        seed: The run's seed.
        epoch: Number of the pass, from 0.
        batch_size: Images a batch; the last batch may be short and is kept.
        augment: Zoom-crop and flip.
        start: Batches to skip without reading them.
        prefetch: Batches a background thread reads ahead.
    """
    order = [int(index) for index in shuffled(len(split), seed, epoch)]
    return _batches(split, order, batch_size, (seed, epoch) if augment else None, start, prefetch)


def evaluation_batches(
    split: Split, batch_size: int, *, start: int = 0, prefetch: int = 0
) -> Iterator[Batch]:
    """Every image of a split once, in order, as it is."""
    return _batches(split, list(range(len(split))), batch_size, None, start, prefetch)


def _batches(
    split: Split,
    order: Sequence[int],
    batch_size: int,
    draw: tuple[int, int] | None,
    start: int,
    prefetch: int,
) -> Iterator[Batch]:
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    parts = (order[at : at + batch_size] for at in range(start * batch_size, len(order), batch_size))
    return prefetched(
        (collate([split.load(index, draw=draw) for index in part], part) for part in parts), prefetch
    )


def collate(samples: Sequence[Sample], indices: Sequence[int]) -> Batch:
    """Stack samples into one batch.

    Raises:
        DataError: The images differ in size or in which targets they have.
    """
    from torch import from_numpy

    first = samples[0]
    for sample in samples[1:]:
        if sample.image.shape != first.image.shape or sample.targets.keys() != first.targets.keys():
            raise DataError(
                f"cannot share a batch with {first.id}: sizes {sample.image.shape[1:]} and "
                f"{first.image.shape[1:]}, targets {sorted(sample.targets)} and {sorted(first.targets)}",
                where=sample.id,
                hint="set train.batch_size to 1, or resize the dataset to one size",
            )
    return Batch(
        tuple(sample.id for sample in samples),
        tuple(int(index) for index in indices),
        from_numpy(np.stack([sample.image for sample in samples])),
        {kind: from_numpy(np.stack([sample.targets[kind] for sample in samples])) for kind in first.targets},
    )
