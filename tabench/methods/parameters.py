"""How many parameters a model has, which of them learn, and which only seem to."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TypedDict

from torch import nn

GROUPS = ("adapters", "norms", "embeddings", "decoders", "encoder")

# mSAM reads mask token 0 only: these parts of SAM's decoder never receive a gradient
_IDLE = re.compile(r"(decoders\.[^.]+\.(?:output_hypernetworks_mlps\.[1-9]\d*|iou_prediction_head))\.")
_ADAPTER = re.compile(r"image_encoder\..*\.factors\.")
_NORM = re.compile(r"image_encoder\.blocks\.\d+\.norm[12]\.")


class Counts(TypedDict):
    """Parameter counts of one model, or summed over the models of a cell.

    `groups` partition `total`: adapters (whatever the method added to SAM's encoder, anywhere), norms
    (`norm1`/`norm2` of the encoder's blocks), embeddings, decoders (idle parts included) and encoder (the
    rest of it). `trained` leaves out `idle`, the parts named in `idle_names` that never receive a gradient;
    trained + idle + frozen = total.
    """

    groups: dict[str, int]
    trained: int
    idle: int
    idle_names: list[str]
    frozen: int
    total: int


def count(model: nn.Module) -> Counts:
    """Count the parameters of an mSAM model, by what its method added and calls idle."""
    added, said = names_of(model, "added"), names_of(model, "idle")
    groups = dict.fromkeys(GROUPS, 0)
    idle_names: dict[str, None] = {}
    trained = idle = 0
    for name, parameter in model.named_parameters():
        size = parameter.numel()
        groups["adapters" if name in added else _group(name)] += size
        found = _IDLE.match(name)
        if found or name in said:
            idle += size
            idle_names[found[1] if found else name] = None
        elif parameter.requires_grad:
            trained += size
    total = sum(groups.values())
    return Counts(
        groups=groups,
        trained=trained,
        idle=idle,
        idle_names=list(idle_names),
        frozen=total - trained - idle,
        total=total,
    )


def names_of(model: nn.Module, what: str) -> frozenset[str]:
    """Names of the parameters that a model's method "added" to SAM's, or says are "idle"."""
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


def _group(name: str) -> str:
    if _ADAPTER.match(name):
        return "adapters"
    if _NORM.match(name):
        return "norms"
    return {"no_mask": "embeddings", "decoders": "decoders"}.get(name.split(".")[0], "encoder")
