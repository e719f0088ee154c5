"""How a training step is cut into forward and backward passes: memory and time, never the meaning.

The effective batch, each loss and the schedule stay as they are; sums are rounded in another order, and with
dropout other masks of the same law are drawn.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from tabench.catalog import BACKBONES, BALANCERS
from tabench.spec.cell import Cell


@dataclass(frozen=True)
class BatchSplit:
    """How the work of a step and of an evaluation is cut.

    Attributes:
        images: Images per forward pass of a step; 0 = the whole batch.
        evaluated: Images per forward pass in evaluations.
        apart: One task after the other, each with its own backward pass: about a T-th of the memory. What
            comes before the first adapter is then computed once a task.
        recompute: Activation checkpointing in the encoder: keep the blocks' inputs, compute the rest again.
        compiled: Encoder blocks through torch.compile.
    """

    images: int = 0
    evaluated: int = 1
    apart: bool = False
    recompute: bool = False
    compiled: bool = False

    def smaller(self, batch: int) -> BatchSplit | None:
        """The next step down where memory ran out with a step of `batch` images; None at the bottom."""
        images = min(self.images or batch, batch)
        # Fewer images cost nothing but a kernel's width; apart and recompute cost work done twice, so they
        # come last.
        if images > 1:
            return replace(self, images=images // 2)
        if not self.apart:
            return replace(self, apart=True)
        if not self.recompute:
            return replace(self, recompute=True)
        return None


def choose_batch_split(cell: Cell, wanted: BatchSplit) -> BatchSplit:
    """Fill in what was not chosen by hand.

    Small inputs run as whole batches with all tasks in one pass, which keeps a processor busy; at SAM's 1024
    pixels one image and one task are enough for that, and memory is what is short.
    """
    small = BACKBONES.get(cell.backbone.name).small
    batch = cell.train.batch_size
    return replace(
        wanted,
        images=min(wanted.images or (batch if small else 1), batch),
        evaluated=batch if small else 1,
        apart=wanted.apart or not small or "gradients" in BALANCERS.get(cell.balancing.name).asks,
    )


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or on the CPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    # The CPU's allocator raises a plain RuntimeError, which only its words tell from others.
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
