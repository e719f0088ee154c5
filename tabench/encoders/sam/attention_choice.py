"""Which kernel for attention (`attention_cuda`) is the fastest on a device, by measurement.

A kernel may be taken if it gives the outputs and gradients of the default one on the very device, if what all
blocks keep of it for the backward pass leaves most of the memory free and, where torch is to be
deterministic, if two runs of it are known to be equal and two passes are. Of those the fastest is taken,
where it is clearly faster than the default.

The choice changes the last digits. So a machine measures once and remembers the answer in the cache, and a
cell keeps the answer that it began with (its journal has it).
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from tabench.encoders.sam.attention_cuda import DEFAULT, KERNELS, VARYING
from tabench.encoders.sam.geometry import Geometry
from tabench.errors import SpecError, StoreError
from tabench.provenance.files import cache_root
from tabench.store.atomic import write_json
from tabench.store.encoding import read_object, significant

MEASURED: Final = 1  # raised when kernels or how they are measured change: what machines remember is void
REPEATS: Final = 5  # timed passes, after two that warm up and are compared
FASTER: Final = 0.9  # of the default's time: what differs less may be noise, and would flip from run to run
ROOM: Final = 0.25  # of the device's memory: what all blocks may keep for the backward pass
# Largest distance from the default's results, as a share of their norm: rounding of the type, no more.
NEAR: Final = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 3e-2}


@dataclass(frozen=True)
class Case:
    """What is measured: the attention of blocks of one kind, windowed or global.

    Attributes:
        matrices: Matrices of scores in one call: images, tasks, windows and heads.
        side: Tokens down and across.
        dim: Of a head.
        blocks: How many blocks of the encoder are of this kind.
        dtype: Type that products are taken in, such as "bfloat16".
    """

    matrices: int
    side: int
    dim: int
    blocks: int
    dtype: str


@dataclass
class Trial:
    """What a kernel did.

    Attributes:
        seconds: Median of a forward and backward pass.
        results: Its output and the gradients of q, k, v and both tables, of two passes.
        kept: Share of the device's memory that all blocks would keep for the backward pass.
    """

    seconds: float
    results: tuple[list[Tensor], list[Tensor]]
    kept: float = 0.0


def choose(sizes: Geometry, rows: int, device: torch.device, dtype: str) -> dict[str, Any]:
    """The kernels to take; see `Encoder.choose_kernels`. The CPU has one way, and nothing is measured."""
    if device.type != "cuda":
        return {}
    found = {f"{case.side}x{case.side}": _remembered(case, device) for case in cases(sizes, rows, dtype)}
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(device)  # what the trials took is no part of the run's peak
    return found


def cases(sizes: Geometry, rows: int, dtype: str) -> list[Case]:
    """The kinds of attention of an encoder whose pass has so many `rows`, images times tasks."""
    dim, matrices, grid = sizes.embed_dim // sizes.num_heads, rows * sizes.num_heads, sizes.grid
    whole = len(sizes.global_attn_indexes) if sizes.window_size else sizes.depth
    found = []
    if sizes.depth > whole:
        windows = -(-grid // sizes.window_size)
        found.append(Case(matrices * windows**2, sizes.window_size, dim, sizes.depth - whole, dtype))
    if whole:
        found.append(Case(matrices, grid, dim, whole, dtype))
    return found


def _remembered(case: Case, device: torch.device) -> dict[str, Any]:
    """What this machine found before, or else finds now."""
    card, strict = torch.cuda.get_device_properties(device), torch.are_deterministic_algorithms_enabled()
    facts = [MEASURED, card.name, card.total_memory, torch.__version__, strict, asdict(case)]
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
    try:
        path = cache_root() / "attention" / f"{name}.json"
    except StoreError:  # no cache: each process measures
        return choose_one(case, device, strict=strict)
    if known := _read(path):
        return known
    found = choose_one(case, device, strict=strict)
    with suppress(StoreError):
        if not _read(path):  # another process may have been quicker: all take what the first one found
            write_json(path, found)
    return _read(path) or found


def _read(path: Path) -> dict[str, Any]:
    with suppress(StoreError):
        if (found := read_object(path)).get("kernel") in KERNELS:
            return found
    return {}


def choose_one(case: Case, device: torch.device, *, strict: bool) -> dict[str, Any]:
    """Try all kernels and take one; `strict` is whether two runs must be equal to the last bit.

    Returns:
        As run.json has it: the "kernel", the "ms" of a forward and backward pass of each, and why some may
        not be taken ("left_out").

    Raises:
        SpecError: Even the default differs from pass to pass.
    """
    seconds: dict[str, float] = {}
    left_out: dict[str, str] = {}
    default: Trial | None = None
    for name in KERNELS:  # the default is the first
        if strict and name in VARYING:
            left_out[name] = "two runs may differ in the last digits"
            continue
        try:
            trial = try_kernel(name, case, device)
            seconds[name] = trial.seconds
            default = default or trial
            if why := _objection(trial, default, case, strict=strict):
                left_out[name] = why
        except Exception as error:  # of a compiler, a kernel or the allocator: other kernels are there
            left_out[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            if default is None:
                break  # nothing to compare with: training itself will say what is wrong
    allowed = {name: took for name, took in seconds.items() if name not in left_out}
    if default is not None and not allowed:
        hint = "--set train.deterministic=false declares that two runs may differ"
        raise SpecError(f"no kernel for attention repeats on this device: {left_out}", hint=hint)
    best = min(allowed, key=lambda name: allowed[name], default=DEFAULT)
    if DEFAULT in allowed and not allowed[best] < FASTER * allowed[DEFAULT]:
        best = DEFAULT
    ms = {name: significant(1000 * took, 4) for name, took in seconds.items()}
    return {"kernel": best, "ms": ms, "left_out": left_out}


def _objection(trial: Trial, default: Trial, case: Case, *, strict: bool) -> str:
    """Why a kernel may not be taken, "" if it may."""
    first, second = trial.results
    for mine, theirs in zip(first + second, default.results[0] * 2, strict=True):
        norm = partial(torch.linalg.vector_norm, dtype=torch.float64)
        apart = float(norm(mine - theirs) / norm(theirs))
        if not apart <= NEAR[case.dtype]:  # so written, NaN is refused too
            return f"its results are {apart:.2g} of their norm apart from those of {DEFAULT}"
    if strict and not all(torch.equal(one, other) for one, other in zip(first, second, strict=True)):
        return "two passes differed in the last digits"
    if trial.kept > max(ROOM, default.kept):
        return f"its blocks would keep {trial.kept:.0%} of the device's memory"
    return ""


def try_kernel(name: str, case: Case, device: torch.device) -> Trial:
    """Run a kernel forward and backward on random numbers of its own; the run's generators stay."""
    dtype, cuda = getattr(torch, case.dtype), device.type == "cuda"
    draw = torch.Generator(device).manual_seed(0)
    exact = torch.promote_types(dtype, torch.float32)  # the tables' type: autocast leaves parameters alone

    def drawn(*size: int, kind: torch.dtype = dtype) -> Tensor:
        return torch.randn(size, generator=draw, device=device, dtype=exact).to(kind)

    def now() -> float:
        if cuda:
            torch.cuda.synchronize(device)
        return time.perf_counter()

    shape, offsets = (case.matrices, case.side**2, case.dim), (2 * case.side - 1, case.dim)
    q, k, v, slope = (drawn(*shape) for _ in range(4))
    # so small that all three terms of a score are alike, and no softmax is all but one-hot
    tables = [drawn(*offsets, kind=exact) * case.dim**-0.5 for _ in range(2)]
    leaves = [leaf.requires_grad_() for leaf in (q, k, v, *tables)]

    def forward() -> Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype == torch.bfloat16):
            return KERNELS[name](q, k, v, (tables[0], tables[1]), (case.side, case.side))

    def once(*, twice: bool = False) -> list[Tensor]:
        out = checkpoint(forward, use_reentrant=False) if twice else forward()
        return [out.detach(), *torch.autograd.grad(out, leaves, slope.to(out.dtype))]

    with torch.enable_grad():
        results = once(), once(twice=True)  # the second as a step with `--recompute` does it
        before = torch.cuda.memory_allocated(device) if cuda else 0
        out = forward()
        kept = torch.cuda.memory_allocated(device) - before if cuda else 0
        del out
        took = []
        for _ in range(REPEATS):
            started = now()
            once()
            took.append(now() - started)
    memory = torch.cuda.get_device_properties(device).total_memory if cuda else 1
    return Trial(statistics.median(took), results, case.blocks * kept / memory)
