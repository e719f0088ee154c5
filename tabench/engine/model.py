"""From a cell to its models."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from tabench.catalog import BACKBONES, METHODS
from tabench.engine.unit import Unit, derive_seed
from tabench.errors import SpecError
from tabench.methods.base import Method
from tabench.sam.msam import MSam
from tabench.spec.cell import Cell


def build_unit(cell: Cell, unit: Unit, weights: Mapping[str, Tensor] | None) -> MSam:
    """Build a unit's model on the CPU: SAM's weights, then the method's adapters.

    Args:
        cell: Names backbone and method.
        unit: Its tasks and the seed of everything that is drawn.
        weights: SAM's state dict; None leaves a random start, which only counting has a use for.

    Raises:
        SpecError: The method cannot be loaded or its hyper-parameters cannot be used.
        CheckpointError: The weights do not fit the backbone.
    """
    torch.manual_seed(derive_seed(unit.seed, "init"))
    model = MSam(BACKBONES.get(cell.backbone.name), unit.channels, cell.backbone.pixel_norm)
    if weights is not None:
        model.load_sam(weights)
    adapt = parametrisation(METHODS.get(cell.method.name))
    adapt(model.image_encoder, len(unit.tasks), cell.method.params)
    return model


def parametrisation(method: Method) -> Callable[..., Any]:
    """Import a method's ``adapt(encoder, num_tasks, params)``.

    Raises:
        SpecError: The target does not exist.
    """
    module, _, attribute = method.parametrisation.partition(":")
    try:
        found: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SpecError(
            f"method '{method.name}': '{method.parametrisation}' cannot be loaded: {error}",
            hint="fix the method's registration",
        ) from error
    return found
