"""What happens to a cell while it runs. A journal on disk holds an event as its name and its fields.

Names and fields are read by `status`, the report and later versions: they are added to, never changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar, TypeVar, dataclass_transform

from pydantic import TypeAdapter, ValidationError

BY_NAME: dict[str, type[Event]] = {}


@dataclass_transform(frozen_default=True, kw_only_default=True)
class Event:
    """One event: each subclass is a frozen dataclass of keywords, known by its name in journals.

    `journalled` is whether it is kept; else it is shown only, since there are too many of it.
    """

    name: ClassVar[str]
    journalled: ClassVar[bool]

    def __init_subclass__(cls, *, name: str, journalled: bool = True) -> None:
        cls.name, cls.journalled = name, journalled
        dataclass(frozen=True, kw_only=True)(cls)
        BY_NAME[name] = cls

    def facts(self) -> dict[str, Any]:
        """Its fields as JSON values; those that have their default are left out."""
        # A dataclass leaves a field's default on the class, and a field without one is no attribute of it.
        return {key: value for key, value in vars(self).items() if value != getattr(type(self), key, ...)}


class Start(Event, name="start"):
    """An attempt begins, the first one is 1."""

    attempt: int
    label: str = ""
    pid: int | None = None


class Done(Event, name="done"):
    """The record is written, or was taken from another experiment."""

    wall_s: float
    adopted: bool = False


class Failed(Event, name="failed"):
    """An attempt failed; `kind` is one of `FAILURE_KINDS`."""

    kind: str
    message: str


class Interrupted(Event, name="interrupted"):
    """An attempt was stopped from outside."""

    message: str = ""


class Retry(Event, name="retry"):
    """A cell that failed is tried again in `pause_s` seconds, for the `retry`-th time of `of`."""

    kind: str
    message: str
    retry: int
    of: int
    pause_s: float | None = None  # journals of early versions have none


class Warned(Event, name="warning"):
    """Something about the data that run.json keeps."""

    message: str


class WeightsRead(Event, name="weights"):
    """What was done to the content of the backbone's weights file."""

    note: str


class Packed(Event, name="pack"):
    """A split's pack is "building", "built" or "left out"."""

    split: str
    state: str
    bytes: int
    seconds: float
    message: str


class SplitChosen(Event, name="passes"):
    """How steps and evaluations are cut at the start; see `BatchSplit`."""

    images: int
    evaluated: int
    apart: bool
    recompute: bool
    compiled: bool


class KernelsChosen(Event, name="kernels"):
    """The kernels that the encoder takes on this device; see `Encoder.choose_kernels`."""

    chosen: dict[str, dict[str, Any]]


class MemoryShort(Event, name="memory"):
    """Memory ran out: steps are cut into less from now on."""

    images: int
    evaluated: int
    apart: bool
    recompute: bool
    compiled: bool
    unit: str
    step: int


class Resumed(Event, name="resume"):
    """A unit goes on from the checkpoint of a step."""

    unit: str
    step: int


class FirstStep(Event, name="first-step"):
    """Seconds until the end of an attempt's first step, which warms up or compiles."""

    unit: str
    seconds: float


class PathTaken(Event, name="path"):
    """How encoder and decoders are run, in words."""

    unit: str
    encoder: str
    decoders: str


class Step(Event, name="step", journalled=False):
    """An optimiser step is done, the first one is 1; `seconds_left` are those to the last one."""

    unit: str
    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    seconds_left: float


class Epoch(Event, name="epoch"):
    """An epoch is done: means over its steps, as in the record's curve."""

    unit: str
    epoch: int
    step: int
    lr: float
    loss: float
    terms: dict[str, float]


class Evaluated(Event, name="eval"):
    """A unit was evaluated after an epoch, for the curves."""

    unit: str
    epoch: int
    seconds: float
    values: list[dict[str, Any]]


class Validated(Event, name="validation"):
    """The mean loss on the split that selects an epoch."""

    unit: str
    epoch: int
    loss: float


class CheckpointKept(Event, name="checkpoint"):
    """A checkpoint is written; `finished` if it is the trained unit."""

    unit: str
    step: int
    finished: bool = False


class Evaluating(Event, name="evaluating", journalled=False):
    """The final evaluation has seen some of its images."""

    unit: str
    images: int
    of: int


class FinallyEvaluated(Event, name="final"):
    """The trained unit was evaluated, for the record."""

    unit: str
    seconds: float
    values: list[dict[str, Any]]


class UnitCost(Event, name="cost"):
    """What one image costs a unit; see `measure_unit`. None is what could not be measured."""

    unit: str
    train_flops: int | None
    inference_flops: int | None
    latency_s: list[float] | None
    stored: int
    weights_bytes: int
    seconds: float
    problems: list[str]


class AnalysisFailed(Event, name="companion-failed"):
    """A file that explains the record could not be made."""

    what: str
    message: str


class ProcessPeaks(Event, name="processes"):
    """Peak memory of each process of the cell; see `peak_memory`."""

    peaks: list[dict[str, float]]


Emit = Callable[[Event], None]
Kind = TypeVar("Kind", bound=Event)


def emit_nothing(event: Event) -> None:
    """Tell nobody."""


@cache
def _adapter(name: str) -> TypeAdapter[Event]:
    return TypeAdapter(BY_NAME[name])


def read_event(name: object, facts: Mapping[str, Any]) -> Event | None:
    """An event from its name and fields, as a journal or another process tells it.

    Fields that this version does not know ("t", those of a later one) are passed over. None where it knows
    no such event, or something in it is missing or of another type.
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


def events_of(kind: type[Kind], lines: Iterable[Mapping[str, Any]]) -> list[Kind]:
    """All events of a kind in a journal's lines."""
    return [event for line in lines if isinstance(event := read_line(line), kind)]
