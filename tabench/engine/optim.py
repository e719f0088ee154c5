"""Adam with an L2 penalty and the warm-up and linear schedule of the recipe."""

from __future__ import annotations

import math
from collections.abc import Mapping

from torch import nn
from torch.optim import Adam, Optimizer

from tabench.spec.cell import TrainPart


def total_steps(train: TrainPart, images: int) -> int:
    """Optimiser steps of a run; the schedule always ends at its last step."""
    steps = train.epochs * steps_per_epoch(train, images)
    return min(steps, train.max_steps) if train.max_steps else steps


def steps_per_epoch(train: TrainPart, images: int) -> int:
    """Optimiser steps in one pass; the last batch, short or filled, is a step (795 images by 4: 199)."""
    return math.ceil(images / train.batch_size)


def lr_factor(step: int, total: int, warmup: float, *, exact: bool = False) -> float:
    """Share of the peak learning rate at optimiser step `step` (0-based).

    With w = floor(warmup * total): step / w while step < w, then (total - step) / (total - w). `exact` takes
    w = warmup * total as it is, a fraction of a step included, as the released code's `LambdaLR` does;
    divisors below 1 count as 1 there.
    """
    ramp = warmup * total if exact else int(warmup * total)
    # At step 0 of a warm-up the rate is 0: the first step only fills Adam's moments.
    if step < ramp:
        return step / max(1, ramp)
    return max(0.0, (total - step) / max(1, total - ramp))


def build_optimizer(trained: Mapping[str, nn.Parameter], train: TrainPart, encoder_lr: float = 1.0) -> Adam:
    """Adam whose weight decay is added to the gradient (L2), as in the released code.

    The rates of the image encoder (`encoder_lr`) and the no-mask embeddings (the recipe's `embedding_lr`) are
    multiples of the recipe's `lr`.
    """
    scales = {"image_encoder": encoder_lr, "no_mask": train.embedding_lr}
    groups: dict[float, list[nn.Parameter]] = {}
    for name, parameter in trained.items():
        groups.setdefault(scales.get(name.split(".")[0], 1.0), []).append(parameter)
    rows = [{"params": chosen, "scale": scale} for scale, chosen in groups.items()]
    # Fused updates all parameters of a group in one kernel, instead of several a parameter.
    return Adam(rows, lr=train.lr, eps=train.eps, weight_decay=train.weight_decay, fused=True)


def set_lr(optimizer: Optimizer, value: float) -> None:
    """Set the learning rate, in each group by its scale."""
    for group in optimizer.param_groups:
        group["lr"] = value * group["scale"]
