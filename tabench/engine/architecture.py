"""Shapes and counts of a built model, for drawings of it that need no torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from tabench.encoders.msam import MSam
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.geometry import Backbone
from tabench.methods.base import Method
from tabench.methods.injection import AdaptedLinear
from tabench.methods.parameters import count, names_of

ARCHITECTURE_VERSION = 1


def describe_model(model: MSam) -> dict[str, Any]:
    """Describe one model, trained or on the meta device, as it was built.

    Returns:
        "tasks" (channels of each), "embeddings" (shapes), "parts" (parameters of each box of the drawing, by
        what happens to them: "trained", "frozen", or "idle", in a trained part but never reached by a
        gradient), "groups" (parameters as in the record) and "adapted" (one of the adapted layers).
    """
    return {
        "tasks": dict(model.channels),
        "embeddings": {task: list(rows.shape) for task, rows in model.no_mask.items()},
        "parts": _parts(model),
        "groups": dict(count(model)["groups"]),
        "adapted": _adapted(model),
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
    idle, added = tuple(f"{name}." for name in count(model)["idle_names"]), names_of(model, "added")
    parts: dict[str, dict[str, int]] = {}
    for name, parameter in model.named_parameters():
        place = "adapters" if name in added else _part(name)
        part = parts.setdefault(place, {"trained": 0, "frozen": 0, "idle": 0})
        state = "idle" if f"{name}.".startswith(idle) else "trained" if parameter.requires_grad else "frozen"
        part[state] += parameter.numel()
    return parts


def _part(name: str) -> str:
    """The box of the drawing that a parameter stands in."""
    words = name.split(".")
    if words[0] == "image_encoder":
        if "factors" in words:
            return "adapters"
        if words[1] == "blocks":
            return "block_norms" if words[3] in ("norm1", "norm2") else "blocks"
        return "neck" if words[1] == "neck" else "patch_embed"
    return f"{words[0]}.{words[1]}" if words[0] in ("decoders", "no_mask") else words[0]


def _adapted(model: MSam) -> dict[str, Any] | None:
    """One of the adapted layers, with how many there are; None where they are not all there is, and alike."""
    layers = {name: module for name, module in model.named_modules() if isinstance(module, AdaptedLinear)}
    others = set(names_of(model, "added"))
    for name, layer in layers.items():
        if type(layer) is not AdaptedLinear or not layer.row_wise or not name.endswith(".attn.qkv"):
            return None
        others -= {f"{name}.factors.{key}" for key, _ in layer.factors.named_parameters()}
    facts = [_layer(layer) for layer in layers.values()]
    if others or not facts or any(one != facts[0] for one in facts):
        return None
    return {"layers": len(facts), **facts[0]}


def _layer(layer: AdaptedLinear) -> dict[str, Any]:
    factors = dict(layer.factors.named_parameters())
    return {
        "inputs": layer.base.in_features,
        "outputs": layer.base.out_features,
        "updated": "".join("qkv"[index] for index in layer.chosen),
        "scale": layer.scale,
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
