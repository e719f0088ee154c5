"""What happens to a cell while it runs. A journal on disk holds an event as its name and its fields.

Names and fields are read by `status`, the report and later versions: they are added to, never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cache
from typing import Any, ClassVar, get_args

from pydantic import TypeAdapter, ValidationError


@dataclass(frozen=True, kw_only=True)
class _Event:
    """One event.

    Attributes:
        name: In journals.
        journalled: Whether it is kept; else it is shown only, since there are too many of it.
    """

    name: ClassVar[str]
    journalled: ClassVar[bool] = True

    def facts(self) -> dict[str, Any]:
        """Its fields as JSON values; those that have their default are left out."""
        every = {field.name: (getattr(self, field.name), field.default) for field in fields(self)}
        return {name: value for name, (value, default) in every.items() if value != default}


@dataclass(frozen=True, kw_only=True)
class Start(_Event):
    """An attempt begins, the first one is 1."""

    name = "start"
    attempt: int
    label: str = ""
    pid: int | None = None


@dataclass(frozen=True, kw_only=True)
class Done(_Event):
    """The record is written, or was taken from another experiment."""

    name = "done"
    wall_s: float
    adopted: bool = False


@dataclass(frozen=True, kw_only=True)
class Failed(_Event):
    """An attempt failed; `kind` is one of `FAILURE_KINDS`."""

    name = "failed"
    kind: str
    message: str


@dataclass(frozen=True, kw_only=True)
class Interrupted(_Event):
    """An attempt was stopped from outside."""

    name = "interrupted"
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class Retry(_Event):
    """A cell that failed is tried again in `pause_s` seconds, for the `retry`-th time of `of`."""

    name = "retry"
    kind: str
    message: str
    retry: int
    of: int
    pause_s: float | None = None  # journals of early versions have none


@dataclass(frozen=True, kw_only=True)
class Warned(_Event):
    """Something about the data that run.json keeps."""

    name = "warning"
    message: str


@dataclass(frozen=True, kw_only=True)
class WeightsRead(_Event):
    """What was done to the content of the backbone's weights file."""

    name = "weights"
    note: str


@dataclass(frozen=True, kw_only=True)
class Packed(_Event):
    """A split's pack is "building", "built" or "left out"."""

    name = "pack"
    split: str
    state: str
    bytes: int
    seconds: float
    message: str


@dataclass(frozen=True, kw_only=True)
class _Split(_Event):
    """How steps and evaluations are cut; see `BatchSplit`."""

    images: int
    evaluated: int
    apart: bool
    recompute: bool
    compiled: bool


@dataclass(frozen=True, kw_only=True)
class SplitChosen(_Split):
    """How steps and evaluations are cut at the start."""

    name = "passes"


@dataclass(frozen=True, kw_only=True)
class MemoryShort(_Split):
    """Memory ran out: steps are cut into less from now on."""

    name = "memory"
    unit: str
    step: int


@dataclass(frozen=True, kw_only=True)
class Resumed(_Event):
    """A unit goes on from the checkpoint of a step."""

    name = "resume"
    unit: str
    step: int


@dataclass(frozen=True, kw_only=True)
class FirstStep(_Event):
    """Seconds until the end of an attempt's first step, which warms up or compiles."""

    name = "first-step"
    unit: str
    seconds: float


@dataclass(frozen=True, kw_only=True)
class PathTaken(_Event):
    """How encoder and decoders are run, in words."""

    name = "path"
    unit: str
    encoder: str
    decoders: str


@dataclass(frozen=True, kw_only=True)
class Step(_Event):
    """An optimiser step is done, the first one is 1; `seconds_left` are those to the last one."""

    name = "step"
    journalled = False
    unit: str
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    seconds_left: float


@dataclass(frozen=True, kw_only=True)
class Epoch(_Event):
    """An epoch is done: means over its steps, as in the record's curve."""

    name = "epoch"
    unit: str
    epoch: int
    step: int
    lr: float
    loss: float
    terms: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Evaluated(_Event):
    """A unit was evaluated after an epoch, for the curves."""

    name = "eval"
    unit: str
    epoch: int
    seconds: float
    values: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class Validated(_Event):
    """The mean loss on the split that selects an epoch."""

    name = "validation"
    unit: str
    epoch: int
    loss: float


@dataclass(frozen=True, kw_only=True)
class CheckpointKept(_Event):
    """A checkpoint is written; `finished` if it is the trained unit."""

    name = "checkpoint"
    unit: str
    step: int
    finished: bool = False


@dataclass(frozen=True, kw_only=True)
class Evaluating(_Event):
    """The final evaluation has seen some of its images."""

    name = "evaluating"
    journalled = False
    unit: str
    images: int
    of: int


@dataclass(frozen=True, kw_only=True)
class FinallyEvaluated(_Event):
    """The trained unit was evaluated, for the record."""

    name = "final"
    unit: str
    seconds: float
    values: list[dict[str, Any]]


@dataclass(frozen=True, kw_only=True)
class UnitCost(_Event):
    """What one image costs a unit; see `measure_unit`. None is what could not be measured."""

    name = "cost"
    unit: str
    train_flops: int | None
    inference_flops: int | None
    latency_s: list[float] | None
    stored: int
    weights_bytes: int
    seconds: float
    problems: list[str]


@dataclass(frozen=True, kw_only=True)
class AnalysisFailed(_Event):
    """A file that explains the record could not be made."""

    name = "companion-failed"
    what: str
    message: str


@dataclass(frozen=True, kw_only=True)
class ProcessPeaks(_Event):
    """Peak memory of each process of the cell; see `peak_memory`."""

    name = "processes"
    peaks: list[dict[str, float]]


Event = (
    Start
    | Done
    | Failed
    | Interrupted
    | Retry
    | Warned
    | WeightsRead
    | Packed
    | SplitChosen
    | MemoryShort
    | Resumed
    | FirstStep
    | PathTaken
    | Step
    | Epoch
    | Evaluated
    | Validated
    | CheckpointKept
    | Evaluating
    | FinallyEvaluated
    | UnitCost
    | AnalysisFailed
    | ProcessPeaks
)
Emit = Callable[[Event], None]
BY_NAME: dict[str, type[Event]] = {kind.name: kind for kind in get_args(Event)}


def emit_nothing(event: Event) -> None:
    """Tell nobody."""


@cache
def _adapter(name: str) -> TypeAdapter[Event]:
    return TypeAdapter(BY_NAME[name])


def read_event(name: object, facts: Mapping[str, Any]) -> Event | None:
    """An event from its name and fields, as a journal or another process tells it.

    Args:
        name: Its name.
        facts: Its fields; others ("t", those of a later version) are passed over.

    Returns:
        None where this version knows no such event, or something in it is missing or of another type.
    """
    if not isinstance(name, str) or name not in BY_NAME:
        return None
    try:
        return _adapter(name).validate_python(dict(facts))
    except ValidationError:
        return None


def read_line(line: Mapping[str, Any]) -> Event | None:
    """The event of a journal's line; see `read_event`."""
    return read_event(line.get("event"), line)
