"""Accumulators of several processes made into one, as if one process had measured the whole split."""

from __future__ import annotations

from collections.abc import Sequence

from tabench.engine.process_group import ProcessGroup
from tabench.tasks.accumulator import from_bytes, to_bytes
from tabench.tasks.base import Evaluation


def share_of(group: ProcessGroup, meters: Sequence[Evaluation]) -> tuple[int, int] | None:
    """(first, stride) of the batches that this process evaluates; None if the main one has to do them all.

    Whole batches are dealt out in turn, none twice and none padded: every forward pass is one that a single
    process makes, on the same images, so that its numbers are the same to the bit.
    """
    if all(meter.mergeable for meter in meters):
        return group.rank, group.size
    return (0, 1) if group.is_main else None


def merge(group: ProcessGroup, meters: Sequence[Evaluation], order: Sequence[str]) -> None:
    """Give the main process's accumulators what the others measured; those of the others stay as they are.

    Args:
        group: The processes.
        meters: Those that were updated, in the same order on every process.
        order: Ids of the split's images.

    Raises:
        DivergedError: A prediction was not finite, here or elsewhere.
        ProcessLostError: A process does not answer.
    """
    if group.size == 1 or not all(meter.mergeable for meter in meters):
        group.sync()
        return
    for meter in meters:  # one after the other: the values of a median fill much memory
        for content in group.collect(to_bytes(meter.parts()))[1:]:  # the first is the main process's own
            meter.absorb(from_bytes(content), order)
