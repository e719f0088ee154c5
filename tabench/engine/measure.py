"""What a unit costs, measured by the run itself once it is trained: FLOPs, latency, stored bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Final

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from tabench.catalog import BACKBONES
from tabench.data.loading import evaluation_batches
from tabench.encoders.msam import MSam
from tabench.engine.context import TrainContext
from tabench.engine.snapshot import kept_untrained, trained_parameters
from tabench.events import UnitCost
from tabench.methods.regulariser import regulariser

REPEATS: Final = 5  # timed forward passes, after one that warms up
FEWEST: Final = 3  # so many where one pass is slow
BUDGET: Final = 0.5  # seconds after which `FEWEST` are enough
_COUNTED: dict[tuple[str, str], tuple[int, int]] = {}  # by all that FLOPs depend on
_APART: Final = {"train", "balancing", "evaluation", "seed"}  # parts of a cell that FLOPs do not see
Shape = Sequence[int]


def _attention(query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(gradient: Shape, query: Shape, key: Shape, value: Shape, *_: Any, **__: Any) -> int:
    return 2 * _attention(query, key, value)


# The fused attention kernels, counted alike on every device: two matrix products forward, four backward.
# Torch itself leaves out the CPU's in some versions, and counts what a kernel recomputes in others.
_KERNELS = ("flash_attention", "efficient_attention", "cudnn_attention", "flash_attention_for_cpu")
ATTENTION: Final = {
    getattr(torch.ops.aten, f"_scaled_dot_product_{kernel}{way}"): formula
    for kernel in _KERNELS
    for way, formula in (("", _attention), ("_backward", _attention_backward))
}


def measure_unit(model: MSam, context: TrainContext) -> UnitCost:
    """Measure a trained unit on one image of the evaluated split, and leave it in evaluation mode.

    Nothing here may cost a finished run: what cannot be measured is None, and "problems" says why. `stored`
    counts the values that are kept, `seconds` is what measuring took; see `count_flops` for the FLOPs.
    """
    started = time.perf_counter()
    beside = kept_untrained(model, context.origin) if context.origin else {}
    stored = [*trained_parameters(model).values(), *beside.values()]
    problems: list[str] = []

    def attempt(what: str, measure: Callable[[], Any]) -> Any:
        try:
            return measure()
        except Exception as error:
            problems.append(f"{what}: {type(error).__name__}: {error}")
            return None

    key = context.cell.model_dump_json(exclude=_APART), context.unit.name
    if key not in _COUNTED and (found := attempt("FLOPs", lambda: count_flops(model, context))):
        _COUNTED[key] = found
    flops = _COUNTED.get(key, (None, None))
    latency = attempt("latency", lambda: time_inference(model, context))
    return UnitCost(
        unit=context.unit.name,
        train_flops=flops[0],
        inference_flops=flops[1],
        latency_s=latency,
        stored=sum(value.numel() for value in stored),
        weights_bytes=sum(value.numel() * value.element_size() for value in stored),
        seconds=round(time.perf_counter() - started, 4),
        problems=problems,
    )


def count_flops(model: MSam, context: TrainContext) -> tuple[int, int]:
    """FLOPs of one training step and of one inference, both of one image through the unit's tasks.

    A step is forward, backward and the regulariser. A multiplication with its addition is 2 FLOPs;
    element-wise work (activations, norms, losses, the optimiser) is not counted. Attention counts as its
    matrix products, whichever kernel computes it. The model is left in evaluation mode and without gradients.
    """
    image = next(iter(evaluation_batches(context.evaluated, 1))).image.to(context.device)
    size = (int(image.shape[-2]), int(image.shape[-1]))
    # Dropout's draws here must not move those of what comes after. The default kernels are counted, since a
    # counter sees into no compiled one: torch would run that uncompiled, with the whole matrix of scores.
    default = BACKBONES.get(context.cell.backbone.name).using_kernels({})
    with torch.random.fork_rng(devices=[]), default:
        model.train()
        with FlopCounterMode(display=False, custom_mapping=ATTENTION) as training:
            outputs = model(image, size)
            loss = torch.stack([output.sum() for output in outputs.values()]).sum()
            if model.penalty:
                loss = loss + regulariser(model)
            loss.backward()
        model.zero_grad(set_to_none=True)
        model.eval()
        with torch.no_grad(), FlopCounterMode(display=False, custom_mapping=ATTENTION) as inference:
            model(image, size)
    return int(training.get_total_flops()), int(inference.get_total_flops())


def time_inference(model: MSam, context: TrainContext) -> list[float]:
    """Seconds from an image (1, 3, H, W) on the device to the activated maps of all tasks, in fp32."""
    batch = next(iter(evaluation_batches(context.evaluated, 1)))
    image, size = batch.image.to(context.device), tuple(batch.image.shape[-2:])
    model.eval()
    seconds: list[float] = []
    with torch.inference_mode():
        for repetition in range(REPEATS + 1):
            if len(seconds) >= FEWEST and sum(seconds) > BUDGET:
                break
            # Kernels are queued: the clock must neither see earlier ones nor miss its own.
            _synchronise(context.device)
            start = time.perf_counter()
            outputs = model(image, size)
            for name in context.unit.tasks:
                context.tasks[name].activate(outputs[name].float())
            _synchronise(context.device)
            if repetition:  # the first one warms up
                seconds.append(round(time.perf_counter() - start, 6))
    return seconds


def _synchronise(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
