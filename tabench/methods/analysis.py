"""What the trained updates of a cell look like: how alike the tasks are, and of how many directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
from torch import nn

from tabench.methods.factors import CPFactors, Factors, LoRAFactors, TuckerFactors
from tabench.methods.injection import AdaptedLinear
from tabench.methods.parameters import names_of
from tabench.methods.stacked import MODES, Array, Stacked, cosines, effective_rank
from tabench.store.encoding import significant

ANALYSIS_VERSION = 1
KEPT = 32  # singular values written of each unfolding
_DIGITS = 7

Layers = dict[str, tuple[str, float, dict[str, Array]]]


def layers_of(model: nn.Module) -> Layers:
    """Copy a model's factors in float64.

    Returns:
        Name of each adapted layer ("blocks.0.attn.qkv") to its kind ("tucker", "cp" or "lora"), scale s and
        factors by name; empty for models without any of the three, and for those whose method adds anything
        else, since these layers would then not be its whole update.
    """
    kinds: dict[type[Factors], str] = {TuckerFactors: "tucker", CPFactors: "cp", LoRAFactors: "lora"}
    found: Layers = {}
    others = set(names_of(model, "added"))
    for name, module in model.named_modules():
        if isinstance(module, AdaptedLinear):
            if type(module) is not AdaptedLinear or type(module.factors) not in kinds:
                return {}
            others -= {f"{name}.factors.{key}" for key, _ in module.factors.named_parameters()}
            values = {
                key: np.asarray(value.detach().cpu().double().numpy())
                for key, value in module.factors.named_parameters()
            }
            kind = kinds[type(module.factors)]
            found[name.removeprefix("image_encoder.")] = (kind, float(module.scale), values)
    return {} if others else found


def analyse(models: Mapping[str, Layers], tasks: Sequence[str]) -> dict[str, Any] | None:
    """Analyse the stacked updates of a cell.

    Args:
        models: Name of each unit to what `layers_of` returned: one task-aware model, or one LoRA model a
            task, whose updates are stacked here.
        tasks: The cell's tasks in order.

    Returns:
        The content of factors.json (see docs/methods.md); None if there is no update of several tasks.
    """
    first = next(iter(models.values()), {})
    kinds = {kind for layers in models.values() for kind, _, _ in layers.values()}
    if not first or len(kinds) != 1 or len(tasks) < 2:
        return None
    kind = kinds.pop()
    if kind == "lora" and set(models) != set(tasks):  # one LoRA for all tasks is no stack
        return None
    layers = []
    for name, (_, scale, values) in first.items():
        if kind == "lora":
            parts = [models[task][name][2] for task in tasks]
            stacked = Stacked.loras([(part["A"], part["B"]) for part in parts])
        else:
            stacked = Stacked.tucker(**values) if kind == "tucker" else Stacked.cp(**values)
        layers.append({"name": name, **_layer(stacked, scale)})
    return {
        "analysis_version": ANALYSIS_VERSION,
        "kind": "lora-stack" if kind == "lora" else kind,
        "tasks": list(tasks),
        "layers": layers,
        "mean": {key: _mean([layer[key] for layer in layers]) for key in ("rows", "updates")},
    }


def _layer(stacked: Stacked, scale: float) -> dict[str, Any]:
    gram = stacked.gram()
    rows = None if stacked.rows is None else cosines(stacked.rows @ stacked.rows.T)
    return {
        "shape": list(stacked.shape),
        "norms": [significant(scale * sqrt(value), _DIGITS) for value in np.diag(gram)],
        "rows": _matrix(rows),
        "updates": _matrix(cosines(gram)),
        **{f"mode{mode}": _spectrum(stacked.singular_values(mode)) for mode in MODES},
        "separate": _spectrum(stacked.separate_values()),
    }


def _spectrum(values: Array) -> dict[str, Any] | None:
    """Values over their root of squares (so their squares are shares of dW's energy); None for dW = 0."""
    norm = float(np.linalg.norm(values))
    if norm == 0:
        return None
    return {
        "values": [significant(value, _DIGITS) for value in values[:KEPT] / norm],
        "effective_rank": significant(effective_rank(values), _DIGITS),
        "numerical_rank": int((values > values[0] * len(values) * np.finfo(np.float64).eps).sum()),
        "possible_rank": len(values),
    }


def _matrix(values: list[list[float | None]] | None) -> list[list[float | None]] | None:
    if values is None:
        return None
    return [[None if value is None else significant(value, _DIGITS) for value in row] for row in values]


def _mean(matrices: Sequence[list[list[float | None]] | None]) -> list[list[float | None]] | None:
    """Entry by entry over the layers that have one."""
    whole = [m for m in matrices if m is not None and all(v is not None for row in m for v in row)]
    if not whole:
        return None
    return _matrix(np.mean(np.asarray(whole, dtype=np.float64), axis=0).tolist())
