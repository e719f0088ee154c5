"""Which group each tensor of a model belongs to, and how many parameters learn, or only seem to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Final, TypedDict

from torch import Tensor, nn

from tabench.encoders.base import Encoder
from tabench.encoders.msam import MSam
from tabench.errors import SpecError
from tabench.methods.adapted import adapted_layers

# The groups of a model's tensors, and what a record sums each of them up under. What a method made belongs to
# one of the first three: to an adapted layer, else to what a module declares as its `group`, else "inserted".
RECORDED: Final[Mapping[str, str]] = MappingProxyType(
    {
        "adapted": "adapters",
        "inserted": "adapters",
        "tokens": "adapters",
        "norms": "norms",
        "embeddings": "embeddings",
        "decoders": "decoders",
        "neck": "encoder",
        "encoder": "encoder",
    }
)
GROUPS: Final = tuple(dict.fromkeys(RECORDED.values()))
ROWS: Final = "rows"  # the owner of a parameter whose t-th row is the t-th task's
_ENCODER: Final = "image_encoder."
_PLACES: Final = {"no_mask": "embeddings", "decoders": "decoders"}


class Counts(TypedDict):
    """Parameter counts of one model, or summed over the models of a cell.

    `groups` partition `total`: adapters (whatever the method added, anywhere), norms (those of the encoder's
    blocks), embeddings, decoders (idle parts included) and encoder (the rest of it). `trained` leaves out
    `idle`, the parts named in `idle_names` that never receive a gradient; trained + idle + frozen = total.
    """

    groups: dict[str, int]
    trained: int
    idle: int
    idle_names: list[str]
    frozen: int
    total: int


def groups_of(model: nn.Module) -> dict[str, str]:
    """The group of every parameter and buffer of an mSAM model, by name; each belongs to exactly one."""
    encoder = model.get_submodule("image_encoder")
    added = names_of(model, "added")
    family: Encoder | None = vars(encoder).get("family")
    own_norms = tuple(f"{_ENCODER}{name}." for name in family.norms()) if family else ()
    neck = f"{_ENCODER}{family.neck}." if family and family.neck else ""
    layers = tuple(f"{_ENCODER}{found.name}." for found in adapted_layers(encoder))
    declared = {
        f"{name}.": said
        for name, module in model.named_modules()
        if isinstance(said := getattr(module, "group", None), str) and said in RECORDED
    }

    def belongs(name: str) -> str:
        if name in added:
            if name.startswith(layers):
                return "adapted"
            return next(
                # The innermost module that declares a group has the last word: parents come before children.
                (declared[place] for place in reversed(declared) if name.startswith(place)),
                "inserted",
            )
        if name.startswith(own_norms):
            return "norms"
        if neck and name.startswith(neck):
            return "neck"
        return _PLACES.get(name.partition(".")[0], "encoder")

    return {name: belongs(name) for name in tensors_of(model)}


def tensors_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers, persistent or not, by name; one that has two names by the first."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


def count(model: nn.Module) -> Counts:
    """Count the parameters of an mSAM model, by what its method added and calls idle."""
    groups, said = groups_of(model), names_of(model, "idle")
    unread = tuple(f"{part}." for part in names_of(model, "unread"))
    sums = dict.fromkeys(GROUPS, 0)
    idle_names: dict[str, None] = {}
    trained = idle = 0
    for name, parameter in model.named_parameters():
        size = parameter.numel()
        sums[RECORDED[groups[name]]] += size
        # A decoder part is told as one, and not parameter by parameter.
        part = next((part for part in unread if name.startswith(part)), None)
        if part or name in said:
            idle += size
            idle_names[part.removesuffix(".") if part else name] = None
        elif parameter.requires_grad:
            trained += size
    total = sum(sums.values())
    return Counts(
        groups=sums,
        trained=trained,
        idle=idle,
        idle_names=list(idle_names),
        frozen=total - trained - idle,
        total=total,
    )


def owners(model: MSam) -> dict[str, str]:
    """Whose the trained parameters are that not all tasks share: a task's name, or `ROWS`.

    A decoder and a no-mask embedding are their task's. Of an encoder everything is shared but what modules of
    it declare: `task_rows`, names of own parameters whose t-th row is the t-th task's alone, and
    `task_index`, where a module with all that is in it is the t-th task's.

    Raises:
        SpecError: A declaration names no parameter, or one without a row for each task, or no task.
    """
    tasks, own = list(model.channels), dict(model.named_parameters())
    places = (name.split(".") for name in own)
    found = {".".join(place): place[1] for place in places if place[0] in ("decoders", "no_mask")}
    for place, module in model.named_modules():
        for name in getattr(module, "task_rows", ()):
            value = own.get(key := f"{place}.{name}".lstrip("."))
            if value is None or value.shape[:1] != (len(tasks),):
                held = "is no parameter" if value is None else f"has shape {tuple(value.shape)}"
                raise SpecError(f"`task_rows` needs a row for each of {len(tasks)} tasks: '{key}' {held}")
            found[key] = ROWS
        if (index := getattr(module, "task_index", None)) is not None:
            if index not in range(len(tasks)):
                raise SpecError(f"`task_index` of '{place}' is {index!r}, of {len(tasks)} tasks")
            found |= {f"{place}.{name}".lstrip("."): tasks[index] for name, _ in module.named_parameters()}
    return {name: owner for name, owner in found.items() if own[name].requires_grad}


def names_of(model: nn.Module, what: str) -> frozenset[str]:
    """Names of tensors that a model's method "added" or calls "idle", or of parts that are "unread"."""
    found: frozenset[str] = vars(model).get(what, frozenset())
    return found


def summed(counts: Iterable[Counts]) -> Counts:
    """Add up the models of a cell (one a task for methods that train every task alone)."""
    rows = list(counts)
    return Counts(
        groups={group: sum(row["groups"][group] for row in rows) for group in GROUPS},
        trained=sum(row["trained"] for row in rows),
        idle=sum(row["idle"] for row in rows),
        idle_names=[name for row in rows for name in row["idle_names"]],
        frozen=sum(row["frozen"] for row in rows),
        total=sum(row["total"] for row in rows),
    )
