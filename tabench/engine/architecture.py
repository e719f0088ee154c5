"""Shapes and counts of a built model, for drawings of it that need no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tabench.encoders.msam import MSam
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.geometry import Backbone
from tabench.methods.adapted import Adapted, adapted_layers, said
from tabench.methods.base import Method
from tabench.methods.parameters import count, groups_of

ARCHITECTURE_VERSION = 1


def describe_model(model: MSam) -> dict[str, Any]:
    """Describe one model, trained or on the meta device, as it was built.

    Returns:
        "tasks" (channels of each), "embeddings" (shapes), "parts" (parameters of each box of the drawing, by
        what happens to them: "trained", "frozen", or "idle", in a trained part but never reached by a
        gradient), "groups" (parameters as in the record), "adapted" (one of the adapted qkv layers)
        and, where there are any, "others" (one layer of each other role).
    """
    return {
        "tasks": dict(model.channels),
        "embeddings": {task: list(rows.shape) for task, rows in model.no_mask.items()},
        "parts": _parts(model),
        "groups": dict(count(model)["groups"]),
        **_adapted(model),
    }


def architecture(
    method: Method, backbone: Backbone, models: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The content of architecture.json: a cell's models beside the SAM they come from.

    `models` has what `describe_model` returned, by the name of the unit ("all", or a task).
    """
    return {
        "architecture_version": ARCHITECTURE_VERSION,
        "method": {"name": method.name, "title": method.title, "sharing": method.sharing},
        "backbone": {
            "name": backbone.name,
            "image_size": backbone.image_size,
            "patch_size": backbone.patch_size,
            "grid": backbone.grid,
            "depth": backbone.depth,
            "embed_dim": backbone.embed_dim,
            "global_blocks": len(backbone.global_attn_indexes),
            "window_size": backbone.window_size,
            "out_chans": backbone.out_chans,
        },
        "sam": _sam(backbone),
        "models": {name: dict(facts) for name, facts in models.items()},
    }


def _parts(model: MSam) -> dict[str, dict[str, int]]:
    idle, groups = tuple(f"{name}." for name in count(model)["idle_names"]), groups_of(model)
    parts: dict[str, dict[str, int]] = {}
    for name, parameter in model.named_parameters():
        part = parts.setdefault(_part(name, groups[name]), {"trained": 0, "frozen": 0, "idle": 0})
        state = "idle" if f"{name}.".startswith(idle) else "trained" if parameter.requires_grad else "frozen"
        part[state] += parameter.numel()
    return parts


def _part(name: str, group: str) -> str:
    """The box of the drawing that a parameter stands in."""
    words = name.split(".")
    if group in ("decoders", "embeddings"):
        return f"{words[0]}.{words[1]}"
    if group == "encoder":
        return "blocks" if words[1] == "blocks" else "patch_embed"
    return {"norms": "block_norms", "neck": "neck"}.get(group, "adapters")


def _adapted(model: MSam) -> dict[str, Any]:
    """Of each role one of its adapted layers, with how many there are.

    Returns:
        "adapted", that of q, k and v, and "others", those of other roles, if there are any. Nothing where the
        adapted layers are not all that was added, are not alike, or do not say what they are.
    """
    nothing: dict[str, Any] = {"adapted": None}
    groups = groups_of(model)
    if any(groups[name] != "adapted" for name in model.added):
        return nothing
    roles: dict[str, list[dict[str, Any]]] = {}
    for found in adapted_layers(model.image_encoder):
        facts = said(found.layer, "facts")
        if facts is None or not found.role:
            return nothing
        roles.setdefault(found.role, []).append(_layer(found, facts))
    if any(layer != layers[0] for layers in roles.values() for layer in layers):
        return nothing
    facts = {role: {"layers": len(layers), **layers[0]} for role, layers in roles.items()}
    others = [{"role": role, **layer} for role, layer in facts.items() if role != "qkv"]
    return {"adapted": facts.get("qkv"), **({"others": others} if others else {})}


def _layer(found: Adapted, facts: Mapping[str, Any]) -> dict[str, Any]:
    factors: Mapping[str, Tensor] = facts["factors"]
    return {
        "inputs": found.layer.base.in_features,
        "outputs": found.layer.base.out_features,
        "updated": "".join(found.chosen) if found.role == "qkv" else found.role,
        "scale": facts["scale"],
        "factors": {name: list(values.shape) for name, values in factors.items()},
        "parameters": sum(values.numel() for values in factors.values()),
    }


def _sam(backbone: Backbone) -> dict[str, Any]:
    """The promptable SAM of the same backbone."""
    with torch.device("meta"):
        sam = build_sam(backbone)
    parts: dict[str, nn.Module] = dict(sam.named_children())
    return {
        "parameters": {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()},
        "masks": sam.mask_decoder.num_multimask_outputs,
    }
