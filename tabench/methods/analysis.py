"""What the trained updates of a cell look like: how alike the tasks are, and of how many directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

import numpy as np
from torch import nn

from tabench.methods.adapted import adapted_layers, said
from tabench.methods.parameters import groups_of, names_of
from tabench.methods.stacked import MODES, Array, Stacked, cosines, effective_rank
from tabench.store.encoding import significant

ANALYSIS_VERSION = 1
KEPT = 32  # singular values written of each unfolding
_DIGITS = 7

Layers = dict[str, tuple[str, float, dict[str, Array]]]


def layers_of(model: nn.Module) -> Layers | str:
    """Copy a model's factors in float64.

    Returns:
        Name of each adapted layer ("blocks.0.attn.qkv") to its kind ("tucker", "cp" or "lora"), scale s and
        factors by name; empty of a model that nothing was added to. In words, why the added cannot be
        analysed, where these layers would not be the whole of it.
    """
    groups = groups_of(model)
    if others := sorted(name for name in names_of(model, "added") if groups[name] != "adapted"):
        return f"'{others[0].removeprefix('image_encoder.')}' is part of no adapted layer"
    found: Layers = {}
    for adapted in adapted_layers(model.get_submodule("image_encoder")):
        facts = said(adapted.layer, "facts")
        if facts is None:
            return f"'{adapted.name}' does not say what its factors are"
        values = {
            # In float64: singular values of a float32 core carry its rounding into the numerical rank.
            key: np.asarray(value.detach().cpu().double().numpy())
            for key, value in facts["factors"].items()
        }
        found[adapted.name] = (facts["kind"], float(facts["scale"]), values)
    if len(kinds := {kind for kind, _, _ in found.values()}) > 1:
        return f"its layers' factors are of several kinds ({', '.join(sorted(kinds))})"
    return found


def analyse(models: Mapping[str, Layers | str], tasks: Sequence[str]) -> dict[str, Any] | None:
    """Analyse the stacked updates of a cell.

    `models` maps each unit to what `layers_of` returned: one task-aware model, or one LoRA model a task,
    whose updates are stacked here.

    Returns:
        The content of factors.json (see docs/methods.md); of a method whose updates cannot be analysed, with
        the kind "none" and the reason ("why"). None if there is no update of several tasks.
    """
    why = next((found for found in models.values() if isinstance(found, str)), "")
    if why and len(tasks) > 1:
        head = {"analysis_version": ANALYSIS_VERSION, "kind": "none", "why": why}
        return {**head, "tasks": list(tasks), "layers": [], "mean": {"rows": None, "updates": None}}
    known = {name: found for name, found in models.items() if not isinstance(found, str)}
    first = next(iter(known.values()), {})
    kinds = {kind for layers in known.values() for kind, _, _ in layers.values()}
    if not first or len(kinds) != 1 or len(tasks) < 2:
        return None
    kind = kinds.pop()
    if kind == "lora" and set(known) != set(tasks):  # one LoRA for all tasks is no stack
        return None
    layers = []
    for name, (_, scale, values) in first.items():
        if kind == "lora":
            parts = [known[task][name][2] for task in tasks]
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
