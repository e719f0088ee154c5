"""FLOPs of a work, and how far the gradients and outputs of two paths lie apart."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from tabench.bench.subject import Subject
from tabench.bench.timing import Work, within_memory
from tabench.encoders.plain import Way
from tabench.encoders.sam.attention_cuda import using
from tabench.engine.measure import ATTENTION
from tabench.store.encoding import significant

_FLOOR = 1e-3  # a gradient counts as this share of the model's largest at least: some are 0 but for rounding


def flops_of(work: Work) -> int:
    """FLOPs of all matrix products and convolutions that a work computes, recomputed ones included.

    A multiplication with its addition is 2; element-wise work is not counted.
    """
    with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
        work()
    return int(counter.get_total_flops())


def counted(ways: Mapping[str, Work]) -> dict[str, int]:
    """FLOPs of each way that the device has memory for; this warms them up."""
    flops: dict[str, int] = {}

    # By the default kernels: the counter sees into no compiled one.
    def count(way: str, work: Work) -> None:
        flops[way] = flops_of(work)

    with using({}):
        for way, work in ways.items():
            within_memory(partial(count, way, work))
    return flops


def agreement(subject: Subject) -> dict[str, Any]:
    """Compare the two paths on the same weights and images, without dropout.

    Returns "outputs": largest difference of an output over the largest output of its task. "gradients":
    largest difference of a gradient's entry over the parameter's largest (or 0.001 of the model's, where that
    is more), for the worst parameter, named by "worst". "loss": relative difference of the loss.
    """
    plain, fast = subject.outputs("plain"), subject.outputs("fast")
    outputs = max(_apart(fast[name], value, 0.0) for name, value in plain.items())
    del plain, fast
    found: dict[Way, dict[str, Tensor]] = {}
    losses: dict[Way, float] = {}
    ways: tuple[Way, ...] = ("plain", "fast")
    for way in ways:
        for part in subject.parts:
            part.model.eval()  # no dropout; nothing else of an mSAM knows the mode
            part.optimizer.zero_grad(set_to_none=True)
        losses[way] = subject.gradients(way)["loss"]
        found[way] = _taken(subject)
    floor = _FLOOR * max(float(value.abs().max()) for value in found["plain"].values())
    apart = {name: _apart(found["fast"][name], value, floor) for name, value in found["plain"].items()}
    worst = max(apart, key=lambda name: apart[name])
    return {
        "outputs": significant(outputs, 3),
        "gradients": significant(apart[worst], 3),
        "worst": worst,
        "loss": significant(abs(losses["fast"] - losses["plain"]) / abs(losses["plain"]), 3),
    }


def _taken(subject: Subject) -> dict[str, Tensor]:
    """All gradients, taken off the models."""
    found = {}
    for part in subject.parts:
        for name, parameter in part.model.named_parameters():
            if parameter.grad is not None:
                found[f"{part.context.unit.name}:{name}"] = parameter.grad
        part.optimizer.zero_grad(set_to_none=True)
    return found


def _apart(mine: Tensor, reference: Tensor, floor: float) -> float:
    largest = max(float(reference.abs().max()), floor)
    return float((mine - reference).abs().max()) / largest if largest else float(mine.abs().max())


def rates(flops: Mapping[str, int], seconds: Mapping[str, Any], chip: float) -> dict[str, dict[str, float]]:
    """Each way's own FLOPs a second, and as a share of the chip's measured rate."""
    return {
        way: {
            "tflop_per_s": significant(count / seconds[way]["median_s"] / 1e12, 4),
            "share_of_chip": significant(count / seconds[way]["median_s"] / chip, 4),
        }
        for way, count in flops.items()
        if "median_s" in seconds[way]
    }
