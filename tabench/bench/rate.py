"""The chip's rate: FLOPs a second of one large matrix product, on the same threads in the same process."""

from __future__ import annotations

import time

import torch

from tabench.bench.timing import synchronise

_SIDE = {"cpu": 2048, "cuda": 8192}
_ROUNDS = 3


def chip_rate(device: torch.device, precision: str) -> float:
    """The best of a few products of square matrices, FLOP/s.

    In fp32 a CUDA device computes true fp32 (TF32 stays off, as in training).
    """
    side = _SIDE[device.type]
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(_ROUNDS):
        synchronise(device)
        started = time.perf_counter()
        a @ b
        synchronise(device)
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best
