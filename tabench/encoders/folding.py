"""An encoder's own forward over a batch that holds several tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint


def folded(
    encoder: nn.Module, inputs: Tensor, tasks: Sequence[int] | None = None, *, recompute: bool = False
) -> Any:
    """Call an encoder with its inputs (B, 3, S, S) repeated for each task: T*B rows, task-major.

    `tasks` are indices, for an encoder that tells tasks apart; None: one embedding for all. `recompute` keeps
    only the inputs for the backward pass.
    """
    fold: Any = None if tasks is None else encoder.task_fold

    def run(batch: Tensor) -> Any:
        with nullcontext() if tasks is None else fold.select(tasks):
            return encoder(batch)  # when computed again, too

    batch = inputs if tasks is None else inputs.repeat(len(fold.rows(tasks)), 1, 1, 1)
    kept = recompute and torch.is_grad_enabled()  # without a backward pass there is nothing to compute again
    found = checkpoint(run, batch, use_reentrant=False) if kept else run(batch)
    if tasks is None or not fold.free_stream:
        return found
    own = len(inputs)  # the rows of no task come first
    return {k: v[own:] for k, v in found.items()} if isinstance(found, Mapping) else found[own:]
