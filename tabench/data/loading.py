"""Batches of a split as tensors, for training (shuffled, augmented) and evaluation."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import cycle, islice
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeVar

import numpy as np

from tabench.data.base import Augmentation, Sample, Split
from tabench.data.draws import shuffled
from tabench.errors import DataError, SpecError

if TYPE_CHECKING:
    from torch import Tensor
    from torch import device as Device

T = TypeVar("T")
END = object()


class Batch(NamedTuple):
    """Images with their targets, on one device."""

    ids: tuple[str, ...]  # image ids
    # positions in the split, which augmentations are keyed by; plus the split's length where an image is seen
    # again, to fill the last batch
    indices: tuple[int, ...]
    image: Tensor  # (B, 3, H, W) float32 in 0..1
    # "label" (B, H, W) int64, "depth" or "disparity" (B, 1, H, W) and "normal" (B, 3, H, W) float32
    targets: dict[str, Tensor]
    # images of the whole batch where these are one process' share of it, which may be none at all (no
    # `targets` then); None where they are the whole batch
    shared: int | None = None

    @property
    def effective(self) -> int:
        """Images of the whole batch, over which losses are averaged."""
        return len(self.ids) if self.shared is None else self.shared


def batch_count(images: int, batch_size: int) -> int:
    """Batches in one pass; the last one may be short, or filled."""
    return -(-images // batch_size)


class _Draw(NamedTuple):
    """Which random draws are applied."""

    seed: int  # the run's seed
    epoch: int  # number of the pass
    applied: Augmentation | None  # what they are applied by; None where only the split's `load` knows


def batches(
    split: Split,
    *,
    seed: int,
    epoch: int,
    batch_size: int,
    augment: Literal["none", "clean", "paper"],
    filled: bool = False,
    start: int = 0,
    prefetch: int = 0,
    device: Device | None = None,
    kinds: Collection[str] | None = None,
    share: tuple[int, int] = (0, 1),
) -> Iterator[Batch]:
    """Batches of one training epoch.

    The order depends on (seed, epoch) and each augmentation on (seed, epoch, position in
    the split), so `start=k` gives exactly the batches from the k-th on of a full pass. On a GPU
    whole batches are augmented there, on the CPU image by image while they are read.

    A last batch that is filled ends with the images that the epoch began with, as torch's
    `DistributedSampler` shares out an epoch. They are augmented by draws of their own (by a split that
    augments in its `load`, by the same ones again).

    Args:
        split: What to read.
        seed: The run's seed.
        epoch: Number of the pass, from 0.
        batch_size: Images a batch; the last batch may be short and is kept.
        augment: "none"; "clean", the split's own `augmentation`; or "paper", its `paper_augmentation`.
        filled: Fill a short last batch with images of this epoch.
        start: Batches to skip without reading them.
        prefetch: Batches a background thread reads ahead, into pinned memory for a CUDA device.
        device: Where batches are delivered; None is the CPU.
        kinds: Targets that are wanted: others are neither augmented nor moved. None = all.
        share: (r, n) reads only every n-th image of each batch from the r-th on: what process r of n has to
            do. The batches themselves, their order and every draw stay those of one process.

    Raises:
        SpecError: "paper", where the split has no such augmentation.
    """
    order = [int(index) for index in shuffled(len(split), seed, epoch)]
    if filled and batch_size > 0:
        order = _filled(order, batch_count(len(order), batch_size) * batch_size)
    parts = _parts(order, batch_size, start)
    draw = None if augment == "none" else _Draw(seed, epoch, _applied(split, augment))
    return _batches(split, parts, draw, prefetch, device, kinds, share)


def _filled(order: Sequence[int], count: int) -> list[int]:
    """So many positions: those of the order again from its start, told from the first time by its length."""
    return [index + at // len(order) * len(order) for at, index in enumerate(islice(cycle(order), count))]


def _applied(split: Split, augment: str) -> Augmentation | None:
    if augment == "clean":
        return split.augmentation
    if augment != "paper":
        raise ValueError(f'augment must be "none", "clean" or "paper", got {augment!r}')
    if split.paper_augmentation is None:
        raise SpecError(
            "these images have no augmentation of the released code",
            where="train.augment",
            hint='use "clean" or "none"',
        )
    return split.paper_augmentation


def evaluation_batches(
    split: Split,
    batch_size: int,
    *,
    start: int = 0,
    stride: int = 1,
    prefetch: int = 0,
    device: Device | None = None,
    kinds: Collection[str] | None = None,
) -> Iterator[Batch]:
    """Every image of a split once, in order, as it is; the arguments are those of `batches`.

    With a `stride` of n only every n-th batch from `start` on: each is one of those a single process reads.
    """
    parts = _parts(range(len(split)), batch_size, start, stride)
    return _batches(split, parts, None, prefetch, device, kinds, (0, 1))


def _parts(order: Sequence[int], batch_size: int, start: int, stride: int = 1) -> list[Sequence[int]]:
    """Positions of each batch's images."""
    if batch_size < 1:
        raise ValueError(f"batch_size must be at least 1, got {batch_size}")
    firsts = range(start * batch_size, len(order), stride * batch_size)
    return [order[at : at + batch_size] for at in firsts]


def _batches(
    split: Split,
    parts: Sequence[Sequence[int]],
    draw: _Draw | None,
    prefetch: int,
    device: Device | None,
    kinds: Collection[str] | None,
    share: tuple[int, int],
) -> Iterator[Batch]:
    def read(part: Sequence[int], draw: _Draw | None) -> Batch:
        rank, processes = share
        if processes == 1:
            return _read(split, part, draw, kinds)
        return _read(split, part[rank::processes], draw, kinds)._replace(shared=len(part))

    if device is None or not on_device(device):
        return prefetched((read(part, draw) for part in parts), prefetch)
    later = draw if draw is not None and draw.applied is not None else None
    now = draw if later is None else None
    ready = prefetched((_pinned(read(part, now), device) for part in parts), prefetch)
    return _delivered(ready, device, later)


def on_device(device: Device) -> bool:
    """Whether batches travel to another memory than the one they are read into."""
    return device.type != "cpu"


def _read(split: Split, part: Sequence[int], draw: _Draw | None, kinds: Collection[str] | None) -> Batch:
    return collate([_load(split, index, draw, kinds) for index in part], part)


def _load(split: Split, index: int, draw: _Draw | None, kinds: Collection[str] | None) -> Sample:
    by_itself = draw is not None and draw.applied is None
    sample = split.load(index % len(split), draw=draw[:2] if draw is not None and by_itself else None)
    if kinds is not None:
        wanted = {kind: target for kind, target in sample.targets.items() if kind in kinds}
        sample = replace(sample, targets=wanted)
    if draw is None or draw.applied is None:
        return sample
    return draw.applied.one(sample, draw.seed, draw.epoch, index)


def _pinned(batch: Batch, device: Device) -> Batch:
    targets = {kind: pinned(target, device) for kind, target in batch.targets.items()}
    return batch._replace(image=pinned(batch.image, device), targets=targets)


def pinned(tensor: Tensor, to: Device) -> Tensor:
    """The tensor in memory that a CUDA device copies from by itself; unchanged for other devices."""
    return tensor.pin_memory() if to.type == "cuda" else tensor


def send(tensor: Tensor, to: Device) -> Tensor:
    """The tensor on a device; on CUDA the copy is queued behind the device's work and not waited for."""
    return pinned(tensor, to).to(to, non_blocking=True)


def _delivered(ready: Iterator[Batch], device: Device, draw: _Draw | None) -> Iterator[Batch]:
    """Move batches to their device and augment them there, where that is left to do; waits for neither."""
    for batch in ready:
        image = batch.image.to(device, non_blocking=True)
        targets = {kind: target.to(device, non_blocking=True) for kind, target in batch.targets.items()}
        if draw is not None and draw.applied is not None and batch.ids:
            image, targets = draw.applied.batch(image, targets, draw.seed, draw.epoch, batch.indices)
        yield batch._replace(image=image, targets=targets)


def collate(samples: Sequence[Sample], indices: Sequence[int]) -> Batch:
    """Stack samples into one batch; none give an image of shape (0,) and no targets.

    Raises:
        DataError: The images differ in size or in which targets they have.
    """
    from torch import empty, from_numpy

    if not samples:
        return Batch((), (), empty(0), {})
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


def prefetched(items: Iterable[T], ahead: int) -> Iterator[T]:
    """Yield the same items in the same order, up to `ahead` of them computed early by a background thread.

    An error of the producer is raised at the item it happened at. Closing the iterator ends the thread. With
    `ahead` 0 nothing runs in the background.
    """
    if ahead < 1:
        yield from items
        return
    source = iter(items)
    with ThreadPoolExecutor(1, "tabench-prefetch") as thread:
        # one more than `ahead`, since the first of them is what the consumer is waiting for
        waiting = deque(thread.submit(next, source, END) for _ in range(ahead + 1))
        try:
            while (item := waiting.popleft().result()) is not END:
                waiting.append(thread.submit(next, source, END))
                yield item  # type: ignore[misc]  # END is no item
        finally:
            for later in waiting:
                later.cancel()
