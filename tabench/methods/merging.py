"""Folding a task's update into the encoder's weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Protocol

from torch import nn

from tabench.encoders.base import declares
from tabench.errors import SpecError
from tabench.methods.adapted import OneTask, Shared, TaskModule, adapted_layers, said

_SHOWN = 3


class Mergeable(Protocol):
    """A model whose encoder a method adapted."""

    image_encoder: nn.Module

    def strangers(self, encoder: nn.Module) -> Iterable[str]:
        """Names of what an encoder has that it was not built with, or has otherwise."""
        ...


def merged_encoder(model: Mergeable, task: int, *, share: bool = False, keep: bool = False) -> nn.Module:
    """An image encoder that gives one task's embedding.

    Args:
        model: A model with an adapted `image_encoder`; it is not changed.
        task: Index of the task in the order the tasks are folded.
        share: Whether all weights but the merged ones are the model's own tensors, not copies of them.
        keep: Whether modules that cannot be folded into weights stay, each for this task alone, where it is
            known what they do for a task (`TaskModule`).

    Returns:
        A copy of the encoder with W0 + s * dW[:, :, task]^T in place of every adapted layer. It equals the
        adapted encoder in evaluation mode. Without `keep`, its state dict has the encoder's own keys. Where
        all tasks share one update, every task gives the same encoder.

    Raises:
        SpecError: The encoder holds something that is neither its own nor can be merged or kept.
    """
    own = model.image_encoder
    same = {id(parameter): parameter for parameter in own.parameters()} if share else {}
    encoder = copy.deepcopy(own, same)
    shared = not hasattr(encoder, "task_fold")
    index = 0 if shared else task
    for adapted in list(adapted_layers(encoder)):
        if (plain := said(adapted.layer, "merged", index)) is not None:
            _put(encoder, adapted.name, plain)
    stay: list[str] = []
    for name, inner in list(encoder.named_modules()) if keep else ():
        module: object = inner
        if isinstance(module, TaskModule) and declares(inner, "applied") and not _in(name, stay):
            _put(encoder, name, OneTask(module, index))
            stay.append(name)
    # what layers share goes with them, unless one that stays may read it
    holders = [name for name, module in encoder.named_modules() if isinstance(module, Shared)]
    for name in () if stay else holders:
        parent, _, key = name.rpartition(".")
        delattr(encoder.get_submodule(parent), key)
    found = [name for name in model.strangers(encoder) if not _in(name, [*stay, *holders])]
    if found:
        names = ", ".join(f"'{name}'" for name in found[:_SHOWN])
        raise SpecError(
            f"the encoder cannot be merged: {names}{' ...' if len(found) > _SHOWN else ''} "
            "is neither SAM's own nor an adapted layer that can be folded into its weights",
            hint="use the model as it is",
        )
    if not shared:
        del encoder.task_fold
    return encoder


def _in(name: str, places: Iterable[str]) -> bool:
    return any(name == place or name.startswith(f"{place}.") for place in places)


def _put(encoder: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, key = name.rpartition(".")
    encoder.get_submodule(parent).register_module(key, module)
