"""What a method is: a parametrisation and a sharing scheme. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tabench.errors import SpecError
from tabench.spec.cell import Value as Value
from tabench.text import suggestion

Sharing = Literal["per-task", "shared", "task-aware"]


@dataclass(frozen=True)
class Method:
    """A way of adapting the encoder.

    Attributes:
        name: Registry name.
        title: Name in tables.
        parametrisation: "module:attribute" of a callable
            ``adapt(encoder, num_tasks, params) -> None`` that changes the image encoder in
            place and marks what is trained by ``requires_grad``.
        sharing: "per-task" trains one model a task (STL); "shared" one encoder whose image
            embedding serves all tasks (HPS); "task-aware" one encoder that gives each task
            its own embedding.
        defaults: Every hyper-parameter with its default value.
        idle: Patterns (as of file names, "blocks.*.router.*") of the encoder's trained parameters that never
            get a gradient, by design. A run in which any other one gets none is refused.
        requires: Distributions that its numbers depend on ("peft"): their versions are part of a cell.
        starts_elsewhere: Whether outputs differ from SAM's own before the first step, by design (a new norm,
            random prompts). The contract battery holds every other method to them.
        rank_letter: What tables and figures call its rank ("r", or "R" of a sum of R terms).
        parameter_formula: Parameters that it adds to a layer of d inputs and k outputs, in LaTeX, for the
            definitions of a report ("r(d + k)"); empty where it has none.
        trains_encoder: Whether it trains all the encoder, so that its weights are as large as the encoder's.
    """

    name: str
    title: str
    parametrisation: str
    sharing: Sharing
    defaults: Mapping[str, Value] = field(default_factory=dict)
    idle: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    starts_elsewhere: bool = False
    rank_letter: str = "r"
    parameter_formula: str = ""
    trains_encoder: bool = False

    @property
    def outside(self) -> bool:
        """Whether its code is of another package, of which nothing is known but what a run of it shows."""
        return self.parametrisation.partition(".")[0] != "tabench"

    @property
    def code_modules(self) -> tuple[str, ...]:
        """Modules that hold its code, besides the one it is defined in."""
        return (self.parametrisation.partition(":")[0],)

    def params(self, given: Mapping[str, Value], *, where: str = "method.params") -> dict[str, Value]:
        """Fill in defaults and refuse names this method does not have.

        Raises:
            SpecError: An unknown hyper-parameter, or a value of another type.
        """
        return filled(f"method '{self.name}'", self.defaults, given, where)


def filled(
    owner: str, defaults: Mapping[str, Value], given: Mapping[str, Value], where: str
) -> dict[str, Value]:
    """Hyper-parameters with their defaults filled in.

    Args:
        owner: What has them, for messages ("method 'x'").
        defaults: Every hyper-parameter with its default value.
        given: Those that differ.
        where: The table they stand in, for messages.

    Raises:
        SpecError: A name that is unknown, or a value of another type.
    """
    full = dict(defaults)
    for key, value in given.items():
        if key not in full:
            hint = suggestion(key, full, "it has")
            raise SpecError(f"{owner} has no hyper-parameter '{key}'", where=where, hint=hint)
        full[key] = _coerce(value, full[key], f"{where}.{key}")
    return full


def _coerce(value: Value | list[int], like: Value, where: str) -> Value:
    if isinstance(value, list):
        value = tuple(value)
    if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(like):
        raise SpecError(
            f"expected {type(like).__name__}, got {type(value).__name__} ({value!r})", where=where
        )
    if isinstance(like, tuple) and isinstance(value, tuple):
        if len(like) != len(value):
            raise SpecError(f"expected {len(like)} numbers, got {len(value)}", where=where)
        for item, one in zip(value, like, strict=True):
            _coerce(item, one, where)
    return value
