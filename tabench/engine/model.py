"""From a cell to its models."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from tabench.catalog import BACKBONES, METHODS
from tabench.encoders.base import linears
from tabench.encoders.msam import MSam
from tabench.encoders.sam.as_built import changed_for_all
from tabench.engine.context import Unit, derive_seed
from tabench.errors import SpecError
from tabench.methods.adapted import adapted_layers
from tabench.methods.base import Method, Value
from tabench.methods.hooks import Hooks
from tabench.methods.parameters import owners, tensors_of
from tabench.methods.regulariser import regularised
from tabench.spec.cell import Cell


def build_unit(cell: Cell, unit: Unit, weights: Mapping[str, Tensor] | None) -> MSam:
    """Build a unit's model on the CPU: SAM's weights, then the method's adapters.

    `weights` is SAM's state dict; None leaves a random start, which only counting has a use for.

    Raises:
        SpecError: The method cannot be loaded or its hyper-parameters cannot be used.
        CheckpointError: The weights do not fit the backbone.
    """
    # On the CPU and from one seed: a GPU's generator would draw other numbers.
    torch.manual_seed(derive_seed(unit.seed, "init"))
    model = MSam(BACKBONES.get(cell.backbone.name), unit.channels, cell.backbone.pixel_norm)
    if weights is not None:
        model.load_sam(weights)
    adapt(model, METHODS.get(cell.method.name), cell.method.params)
    return model


def adapt(model: MSam, method: Method, params: Mapping[str, Value]) -> None:
    """Let a method change a model, and note what it added and changed and which parameters it calls idle.

    Raises:
        SpecError: The method cannot be loaded, its hyper-parameters cannot be used, or what it made of the
            encoder is not what it says of itself.
    """
    encoder, target = model.image_encoder, load_target(f"method '{method.name}'", method.parametrisation)
    before = tensors_of(model)  # held: ids are used again
    values = {name: value.detach().clone() for name, value in before.items() if not value.is_meta}
    if method.whole_model:
        found = target(model, linears(encoder), params)
    else:
        found = target(encoder, len(model.channels), params)
    model.hooks = found if isinstance(found, Hooks) else None
    if model.image_encoder is not encoder or (found is not None and found is not encoder and not model.hooks):
        raise SpecError(
            f"method '{method.name}': '{method.parametrisation}' returns something, which nobody would use",
            hint="change the encoder in place; what acts in training is a tabench.methods.hooks.Hooks",
        )
    # Only now: importing a method's package is what patches classes.
    if changed := changed_for_all(encoder, *model.decoders.values()):
        raise SpecError(
            f"method '{method.name}' would be run in a process where {changed}: every cell here would have "
            "other values than elsewhere",
            hint="the package that does so must change modules of the encoder that a method is given, "
            "not classes and functions that all methods share",
        )
    _check_fold(encoder, method)
    now = tensors_of(model)
    if lazy := [name for name, value in now.items() if is_lazy(value)]:
        raise SpecError(
            f"method '{method.name}': '{lazy[0]}' has no shape before the first forward pass",
            hint="give lazy modules their sizes, or call them once when the method changes the encoder",
        )
    owners(model)  # raises where a module says of its parameters what they cannot be
    model.penalty = float(params.get(method.penalty_weight, 0.0))  # type: ignore[arg-type]
    model.encoder_rate = float(params.get(method.encoder_rate, 1.0))  # type: ignore[arg-type]
    if model.penalty and not regularised(model):
        raise SpecError(
            f"method '{method.name}' weighs the orthogonality regulariser, but nothing is regularised",
            where=f"method.params.{method.penalty_weight}",
            hint="set it to 0, or let the encoder's `Factors` name their `columns`",
        )
    # By identity and not by name: a wrapped layer is the same tensor under another name, and nothing new.
    names = {id(value): name for name, value in before.items()}
    new = {name for name, value in now.items() if id(value) not in names}
    altered = {
        name
        for name, value in now.items()
        if name not in new and not value.is_meta and not _equal(value, values[names[id(value)]])
    }
    model.added = frozenset(new - set(before))
    model.made = frozenset(name for name in new | altered if not now[name].requires_grad)
    model.idle = frozenset(
        name
        for name, value in now.items()
        if value.requires_grad and any(_matches(name, pattern) for pattern in method.idle)
    )


def _matches(name: str, pattern: str) -> bool:
    """Whether a pattern means a tensor: by its name in the model, or in the encoder."""
    return fnmatchcase(name, pattern) or fnmatchcase(name.removeprefix("image_encoder."), pattern)


def _equal(one: Tensor, other: Tensor) -> bool:
    # `torch.equal` takes NaN for changed, which errs on the side of keeping a value.
    return one.dtype == other.dtype and torch.equal(one, other.to(one.device))


def _check_fold(encoder: nn.Module, method: Method) -> None:
    folds = hasattr(encoder, "task_fold")
    if method.sharing == "task-aware" and not folds:
        raise SpecError(
            f"method '{method.name}' is task-aware, but all tasks would read one embedding",
            hint="set `encoder.task_fold` (tabench.encoders.base.TaskFold)",
        )
    if method.sharing == "shared" and folds:
        raise SpecError(
            f"method '{method.name}' shares one embedding, but its encoder has a `task_fold`",
            hint='give the method sharing="task-aware", or leave `encoder.task_fold` alone',
        )
    fold: Any = getattr(encoder, "task_fold", None)
    first = int(fold.first_block) if folds else 0
    if early := [found.name for found in adapted_layers(encoder) if (found.block or 0) < first]:
        raise SpecError(
            f"method '{method.name}' says that tasks differ from block {first} on, but adapts '{early[0]}'",
            hint="give its `TaskFold` the first block that it adapts",
        )


def load_target(owner: str, target: str) -> Callable[..., Any]:
    """Import what a registered method or balancer names as "module:attribute".

    Raises:
        SpecError: The target does not exist.
    """
    module, _, attribute = target.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SpecError(
            f"{owner}: '{target}' cannot be loaded: {error}", hint="fix its registration"
        ) from error
    return found
