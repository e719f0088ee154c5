"""Which way to attention (`attention_cuda`) is the fastest on a device, by measurement.

A way is eligible if it gives the outputs and gradients of the default one on the very device, if what all
blocks keep of it for the backward pass leaves most of the memory free and, where torch is to be
deterministic, if it says that two runs are equal and two runs are. Of those the fastest is taken, where it is
clearly faster than the default.

The choice changes the last digits. So a machine measures once and remembers the answer in the cache, and a
cell keeps the answer that it began with (`tabench.runs.kept_choice`).
"""

from __future__ import annotations

import hashlib
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, field_validator
from torch import Tensor

from tabench.encoders.sam.attention_cuda import DEFAULT, WAYS, Kind
from tabench.encoders.sam.geometry import Geometry
from tabench.errors import StoreError
from tabench.provenance.files import cache_root
from tabench.store.atomic import write_json
from tabench.store.encoding import read_json

MEASURED: Final = 1  # raised when the ways or how they are measured change: what machines remember is void
REPEATS: Final = 5  # timed passes, after two that warm up and are compared
FASTER: Final = 0.9  # of the default's time: what differs less may be noise, and would flip from run to run
ROOM: Final = 0.25  # of the device's memory: what all blocks may keep for the backward pass
# Largest distance from the default's results, as a share of their norm: rounding of the type, no more.
NEAR: Final = {"float64": 1e-9, "float32": 1e-4, "bfloat16": 3e-2, "float16": 5e-3}


@dataclass(frozen=True)
class Case:
    """What is measured: the attention of blocks of one kind, windowed or global.

    Attributes:
        matrices: Matrices of scores in one call: images, tasks, windows and heads.
        grid: Tokens down and across.
        dim: Of a head.
        blocks: How many blocks of the encoder are of this kind.
        dtype: Type that products are taken in, such as "bfloat16".
    """

    matrices: int
    grid: tuple[int, int]
    dim: int
    blocks: int
    dtype: str


@dataclass
class Trial:
    """What a way did.

    Attributes:
        seconds: Median of a forward and backward pass.
        results: Its output and the gradients of q, k, v and both tables.
        repeats: Whether a second pass gave the same to the last bit.
        kept: Share of the device's memory that all blocks would keep for the backward pass.
    """

    seconds: float
    results: list[Tensor] = field(default_factory=list)
    repeats: bool = True
    kept: float = 0.0


class Choice(BaseModel):
    """What was found for one kind of blocks, as run.json has it.

    `ms` are milliseconds of a forward and backward pass of each way; `left_out` is why some may not be taken.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    grid: tuple[int, int]
    dtype: str
    way: str
    ms: dict[str, float]
    left_out: dict[str, str]

    @field_validator("way")
    @classmethod
    def _known(cls, way: str) -> str:
        if way not in WAYS:
            raise ValueError(f"no way to attention is called '{way}'")
        return way


_CHOICES: Final = TypeAdapter(list[Choice])
Try = Callable[[str, Case, torch.device], Trial]


def read_choices(content: object) -> list[Choice]:
    """Choices from JSON values. Raises ValueError: they are none, or name a way that is not known."""
    return _CHOICES.validate_json(json.dumps(content))


def ways_of(choices: Sequence[Choice]) -> dict[Kind, str]:
    """The ways that choices stand for, as `attention_cuda.using` takes them."""
    return {(*choice.grid, choice.dtype): choice.way for choice in choices}


def cases(sizes: Geometry, rows: int, dtype: str) -> list[Case]:
    """The kinds of attention of an encoder whose pass has so many `rows`, images times tasks."""
    dim, heads, across = sizes.embed_dim // sizes.num_heads, rows * sizes.num_heads, sizes.grid
    whole = len(sizes.global_attn_indexes) if sizes.window_size else sizes.depth
    found = []
    if sizes.depth > whole:
        windows = (-(-across // sizes.window_size)) ** 2
        window = (sizes.window_size, sizes.window_size)
        found.append(Case(heads * windows, window, dim, sizes.depth - whole, dtype))
    if whole:
        found.append(Case(heads, (across, across), dim, whole, dtype))
    return found


def choose(wanted: Sequence[Case], device: torch.device) -> list[Choice]:
    """The ways to take on a device; none on the CPU, which has one way."""
    if device.type != "cuda":
        return []
    peak = torch.cuda.max_memory_allocated(device)
    found = [remembered(case, device) for case in wanted]
    torch.cuda.empty_cache()
    if not peak:  # nothing else had been there: what the trials took is no part of the run's peak
        torch.cuda.reset_peak_memory_stats(device)
    return found


def remembered(case: Case, device: torch.device) -> Choice:
    """What this machine found before, or else finds now."""
    properties = torch.cuda.get_device_properties(device)
    strict = torch.are_deterministic_algorithms_enabled()
    facts = [MEASURED, properties.name, properties.total_memory, torch.__version__, strict, asdict(case)]
    name = hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:24]
    try:
        path = cache_root() / "attention" / f"{name}.json"
    except StoreError:  # no cache: measured by each process
        return choose_one(case, device, strict=strict)
    with suppress(StoreError, ValidationError, ValueError):
        if path.is_file():
            return read_choices([read_json(path)])[0]
    found = choose_one(case, device, strict=strict)
    with suppress(StoreError, OSError):
        write_json(path, found.model_dump(mode="json"))
    return found


def choose_one(case: Case, device: torch.device, *, strict: bool, attempt: Try | None = None) -> Choice:
    """Try all ways and take one.

    Args:
        case: What is to be attended.
        device: Where.
        strict: Whether two runs must be equal to the last bit.
        attempt: How a way is tried; `try_way` if None.
    """
    attempt = attempt or try_way
    times: dict[str, float] = {}
    left_out: dict[str, str] = {}
    default: Trial | None = None
    for name, way in WAYS.items():
        if strict and not way.deterministic:
            left_out[name] = "two runs may differ in the last digits"
            continue
        try:
            trial = attempt(name, case, device)
        except Exception as error:  # of a compiler, a kernel or the allocator: other ways are there
            left_out[name] = f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
            if name == DEFAULT:
                break  # nothing to compare with: training itself will say what is wrong
            continue
        times[name] = trial.seconds
        if default is None:
            default = trial
        elif why := _objection(trial, default, case, strict=strict):
            left_out[name] = why
    allowed = {name: seconds for name, seconds in times.items() if name not in left_out}
    best = min(allowed, key=lambda name: allowed[name], default=DEFAULT)
    clear = bool(allowed) and allowed[best] < FASTER * allowed[DEFAULT]
    ms = {name: round(1000 * seconds, 4) for name, seconds in times.items()}
    return Choice(grid=case.grid, dtype=case.dtype, way=best if clear else DEFAULT, ms=ms, left_out=left_out)


def _objection(trial: Trial, default: Trial, case: Case, *, strict: bool) -> str:
    """Why a way may not be taken, "" if it may."""
    for mine, theirs in zip(trial.results, default.results, strict=True):
        apart = float((mine.double() - theirs.double()).norm() / theirs.double().norm().clamp_min(1e-30))
        if not apart <= NEAR[case.dtype]:  # so written, NaN is refused too
            return f"its results are {apart:.2g} of their norm apart from those of '{DEFAULT}'"
    if strict and not trial.repeats:
        return "two passes differed in the last digits"
    if trial.kept > max(ROOM, default.kept):
        return f"its blocks would keep {trial.kept:.0%} of the device's memory"
    return ""


def try_way(name: str, case: Case, device: torch.device) -> Trial:
    """Run a way forward and backward on random numbers of its own; the run's generators stay as they are."""
    dtype = getattr(torch, case.dtype)
    draw = torch.Generator(device).manual_seed(0)
    exact = torch.promote_types(dtype, torch.float32)  # the tables' type, as autocast leaves parameters alone

    def drawn(*size: int, kind: torch.dtype = dtype) -> Tensor:
        return torch.randn(size, generator=draw, device=device, dtype=exact).to(kind)

    shape = (case.matrices, case.grid[0] * case.grid[1], case.dim)
    q, k, v, slope = (drawn(*shape) for _ in range(4))
    rows, columns = (drawn(2 * side - 1, case.dim, kind=exact) for side in case.grid)
    leaves = [leaf.requires_grad_() for leaf in (q, k, v, rows, columns)]

    def forward() -> Tensor:
        with torch.autocast(device.type, dtype, enabled=dtype in (torch.bfloat16, torch.float16)):
            return WAYS[name].attend(q, k, v, (rows, columns), case.grid)

    def once() -> list[Tensor]:
        out = forward()
        return [out.detach(), *torch.autograd.grad(out, leaves, slope.to(out.dtype))]

    with torch.enable_grad():
        first, second = once(), once()
        repeats = all(torch.equal(one, other) for one, other in zip(first, second, strict=True))
        del second
        with _kept(device) as kept:
            out = forward()
        del out
        seconds = statistics.median(_timed(once, device) for _ in range(REPEATS))
    return Trial(seconds, first, repeats, case.blocks * kept["share"])


@contextmanager
def _kept(device: torch.device) -> Iterator[dict[str, float]]:
    """The share of a device's memory that what is made inside still holds at the end; 0 on the CPU."""
    found = {"share": 0.0}
    before = torch.cuda.memory_allocated(device) if device.type == "cuda" else 0
    yield found
    if device.type == "cuda":
        here = torch.cuda.memory_allocated(device) - before
        found["share"] = here / torch.cuda.get_device_properties(device).total_memory


def _timed(work: Callable[[], Any], device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    started = time.perf_counter()
    work()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - started


def as_json(choices: Sequence[Choice]) -> list[Mapping[str, Any]]:
    """Choices as JSON values."""
    return [choice.model_dump(mode="json") for choice in choices]
