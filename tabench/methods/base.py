"""What a method is: a parametrisation and a sharing scheme. No torch here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from tabench.encoders.base import ROLES
from tabench.errors import SpecError
from tabench.spec.cell import Value as Value
from tabench.text import suggestion

Sharing = Literal["per-task", "shared", "task-aware"]
_NONE: Final[Mapping[str, int]] = MappingProxyType({})


@dataclass(frozen=True)
class Method:
    """A way of adapting the encoder.

    Attributes:
        name: Registry name.
        title: Name in tables.
        parametrisation: "module:attribute" of a callable
            ``adapt(encoder, num_tasks, params)`` that changes the image encoder in place and marks what is
            trained by ``requires_grad``; it returns nothing, or `Hooks`.
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
        whole_model: Whether `parametrisation` is a ``build(model, layers, params)``, which gets the whole
            model (decoders and embeddings too) and its encoder's linear layers (`LayerSpec`).
        roles: Roles of layers that its hyper-parameter "targets" chooses from; none of a method without one.
        lengths: Hyper-parameters that are lists of a certain length; others may have any.
        merges: Whether its updates can be folded into the encoder's weights exactly.
        penalty_weight: Its hyper-parameter, if it has it, that weighs the orthogonality regulariser.
        encoder_rate: Its hyper-parameter, if it has it, that is the encoder's learning rate as a multiple of
            the recipe's.
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
    whole_model: bool = False
    roles: tuple[str, ...] = ()
    lengths: Mapping[str, int] = field(default_factory=lambda: _NONE)
    merges: bool = False
    penalty_weight: str = "orthogonality"
    encoder_rate: str = "encoder_lr"

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
            SpecError: An unknown hyper-parameter, a value of another type, a list of another length, or
                targets that are no roles of this method's.
        """
        targets = {"targets": given["targets"]} if self.roles and "targets" in given else {}
        others = {key: value for key, value in given.items() if key not in targets}
        full = filled(f"method '{self.name}'", self.defaults, others, where)
        for key, length in self.lengths.items():
            value = full[key]
            if isinstance(value, tuple) and len(value) != length:
                raise SpecError(f"expected {length} numbers, got {len(value)}", where=f"{where}.{key}")
        for key, value in targets.items():
            full[key] = canonical_targets(value, self.roles, f"{where}.{key}")
        return full


def canonical_targets(
    targets: Value | list[str], roles: Iterable[str], where: str = "method.params.targets"
) -> Value:
    """The one way to write which layers are adapted: letters of "qkv", one role, or a list of roles.

    Letters stay as they are given; a list of q, k and v alone becomes letters; other roles are in the order
    of `ROLES`.

    Raises:
        SpecError: Something is none of the `roles`, or named twice.
    """
    roles = tuple(roles)
    letters = isinstance(targets, str) and targets not in roles
    if isinstance(targets, str) and not letters:
        names = [targets]
    else:
        names = [str(name) for name in targets] if isinstance(targets, str | list | tuple) else []
    if letters and not set(names) <= set("qkv") & set(roles):
        names = []
    # "qkv" beside "q" would name a part twice.
    whole = "qkv" in names and not {"q", "k", "v"}.isdisjoint(names)
    if not names or whole or len(set(names)) != len(names) or not set(names) <= set(roles):
        raise SpecError(
            f"{targets!r} is not a choice of {'q, k and v' if letters else 'roles of layers'}",
            where=where,
            hint=f'write letters once each ("qv"), or a list of {", ".join(roles)}',
        )
    if letters or targets == "qkv":
        return targets  # type: ignore[return-value]  # as given: ids of old cells know it so
    if {"q", "k", "v"} <= set(names):
        names = ["qkv", *(name for name in names if name not in {"q", "k", "v"})]
    ordered = tuple(role for role in ROLES if role in names)
    return "".join(ordered) if set(ordered) <= {"qkv", "q", "k", "v"} else ordered


def named_roles(targets: Value) -> tuple[str, ...]:
    """The roles that canonical targets name, "qkv" as its three parts."""
    names = targets if isinstance(targets, tuple) else tuple(str(targets))
    return tuple(str(part) for name in names for part in ("qkv" if name == "qkv" else (name,)))


def filled(
    owner: str, defaults: Mapping[str, Value], given: Mapping[str, Value], where: str
) -> dict[str, Value]:
    """Hyper-parameters with their defaults filled in; `owner` ("method 'x'") and `where` are for messages.

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
    # TOML's 1 is meant where 1.0 is: both must have one id. A bool is an int to Python, and never meant.
    if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(like):
        raise SpecError(
            f"expected {type(like).__name__}, got {type(value).__name__} ({value!r})", where=where
        )
    if isinstance(like, tuple) and isinstance(value, tuple) and like:
        # further items are of the kind of the default's last one
        kinds = (*like, *like[-1:] * (len(value) - len(like)))
        items = (_coerce(item, kind, where) for item, kind in zip(value, kinds, strict=False))
        return tuple(items)  # type: ignore[arg-type]
    return value
