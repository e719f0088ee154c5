"""Shapes and counts of models: what a method would train on a backbone, and facts for drawings of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import torch
from torch import Tensor, nn

from tabench.encoders.base import Encoder
from tabench.encoders.msam import MSam
from tabench.engine.model import adapt
from tabench.engine.snapshot import trained_parameters
from tabench.methods.adapted import Adapted, adapted_layers, said
from tabench.methods.base import Method, Value
from tabench.methods.parameters import Counts, count, groups_of, owners, summed

ARCHITECTURE_VERSION = 1


class Description(TypedDict):
    """Parameter counts of a method: `all` models summed, and each of them.

    `unused_prompt_encoder` is what SAM's prompt encoder holds besides `no_mask_embed`, for each model. mSAM
    has no prompt encoder; the total counted for the released code of its successor (323,707,928 on ViT-L with
    channels 13, 1, 3) is larger than `all["total"]` by exactly this number. `architecture` is what a run
    writes as architecture.json. `shared` counts the trained values that the tasks of one model share: a
    balancer that asks for gradients holds a copy of their gradients a task.
    """

    all: Counts
    per_model: dict[str, Counts]
    unused_prompt_encoder: int
    architecture: dict[str, Any]
    shared: int


def describe(
    method: Method, backbone: Encoder, channels: Mapping[str, int], params: Mapping[str, Value] | None = None
) -> Description:
    """Count what a method trains; `params` are the hyper-parameters that differ from its defaults.

    Returns:
        `per_model` holds one entry a task where every task is trained alone, else one named "all".

    Raises:
        SpecError: A hyper-parameter the method does not have, or one out of range.
    """
    full = method.params(params or {})
    alone = method.sharing == "per-task"
    units = {name: {name: n} for name, n in channels.items()} if alone else {"all": dict(channels)}
    per_model, facts, shared = {}, {}, 0
    for name, unit in units.items():
        with torch.device("meta"):  # shapes are all that is counted: a ViT-H takes no memory and no time
            model = MSam(backbone, unit)
            adapt(model, method, full)
        per_model[name], facts[name] = count(model), describe_model(model)
        if not alone:
            owned = owners(model)
            shared = sum(p.numel() for n, p in trained_parameters(model).items() if n not in owned)
    with torch.device("meta"):
        sam = backbone.promptable()
    prompts = [] if sam is None else sam.prompt_encoder.named_parameters()
    unused = sum(p.numel() for name, p in prompts if not name.startswith("no_mask_embed"))
    return Description(
        all=summed(per_model.values()),
        per_model=per_model,
        unused_prompt_encoder=unused * len(per_model),
        architecture=architecture(method, backbone, facts),
        shared=shared,
    )


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
    method: Method, backbone: Encoder, models: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The content of architecture.json: a cell's models beside the SAM they come from.

    `models` has what `describe_model` returned, by the name of the unit ("all", or a task).
    """
    return {
        "architecture_version": ARCHITECTURE_VERSION,
        "method": {"name": method.name, "title": method.title, "sharing": method.sharing},
        "backbone": backbone.facts(),
        "sam": _sam(backbone),
        "models": {name: dict(facts) for name, facts in models.items()},
    }


def _parts(model: MSam) -> dict[str, dict[str, int]]:
    idle, groups = tuple(f"{name}." for name in count(model)["idle_names"]), groups_of(model)
    parts: dict[str, dict[str, int]] = {}
    for name, parameter in model.named_parameters():
        box = _part(name, groups[name], model.backbone.blocks)
        part = parts.setdefault(box, {"trained": 0, "frozen": 0, "idle": 0})
        state = "idle" if f"{name}.".startswith(idle) else "trained" if parameter.requires_grad else "frozen"
        part[state] += parameter.numel()
    return parts


def _part(name: str, group: str, blocks: str) -> str:
    """The box of the drawing that a parameter stands in."""
    words = name.split(".")
    if group in ("decoders", "embeddings"):
        return f"{words[0]}.{words[1]}"
    if group == "encoder":
        return "blocks" if words[1] == blocks else "patch_embed"
    return {"norms": "block_norms", "neck": "neck"}.get(group, "adapters")


def _adapted(model: MSam) -> dict[str, Any]:
    """Of each role one adapted layer ("adapted": that of q, k and v; "others"), and how many there are.

    Nothing where they are not all that was added, are not alike, or do not say what they are.
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


def _sam(backbone: Encoder) -> dict[str, Any] | None:
    """The promptable SAM of the same backbone; None of another encoder."""
    with torch.device("meta"):
        sam = backbone.promptable()
    if sam is None:
        return None
    parts: dict[str, nn.Module] = dict(sam.named_children())
    return {
        "parameters": {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()},
        "masks": sam.mask_decoder.num_multimask_outputs,
    }
