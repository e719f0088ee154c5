"""Accumulators of several processes made into one, as if one process had measured the whole split."""

from __future__ import annotations

from collections.abc import Sequence

from tabench.engine.world import World
from tabench.tasks.base import Evaluation
from tabench.tasks.parts import from_bytes, to_bytes


def share_of(world: World, meters: Sequence[Evaluation]) -> tuple[int, int] | None:
    """(first, stride) of the batches that this process evaluates; None if the chief has to do them all.

    Whole batches are dealt out in turn, none twice and none padded: every forward pass is one that a single
    process makes, on the same images, so that its numbers are the same to the bit.
    """
    if all(meter.mergeable for meter in meters):
        return world.rank, world.size
    return (0, 1) if world.chief else None


def merge(world: World, meters: Sequence[Evaluation], order: Sequence[str]) -> None:
    """Give the chief's accumulators what the others measured; those of the others stay as they are.

    Args:
        world: The processes.
        meters: Those that were updated, in the same order on every process.
        order: Ids of the split's images.

    Raises:
        DivergedError: A prediction was not finite, here or elsewhere.
        ProcessLostError: A process does not answer.
    """
    if world.size == 1 or not all(meter.mergeable for meter in meters):
        world.meet()
        return
    for meter in meters:  # one after the other: the values of a median fill much memory
        for content in world.collect(to_bytes(meter.parts()))[1:]:  # the first is the chief's own
            meter.absorb(from_bytes(content), order)
