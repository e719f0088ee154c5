"""What a method would train on a backbone, counted without weights or memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypedDict

import torch

from tabench.encoders.msam import MSam
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.geometry import Backbone
from tabench.engine.architecture import architecture, describe_model
from tabench.engine.balance import owners
from tabench.engine.model import adapt
from tabench.engine.snapshot import trained_parameters
from tabench.methods.base import Method, Value
from tabench.methods.parameters import Counts, count, summed


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
    method: Method, backbone: Backbone, channels: Mapping[str, int], params: Mapping[str, Value] | None = None
) -> Description:
    """Count what a method trains.

    Args:
        method: Registry entry.
        backbone: SAM variant.
        channels: Task name to its number of output channels.
        params: Hyper-parameters that differ from the method's defaults.

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
        with torch.device("meta"):
            model = MSam(backbone, unit)
            adapt(model, method, full)
        per_model[name], facts[name] = count(model), describe_model(model)
        if not alone:
            owned = owners(model)
            shared = sum(p.numel() for n, p in trained_parameters(model).items() if n not in owned)
    with torch.device("meta"):
        prompts = build_sam(backbone).prompt_encoder
    unused = sum(p.numel() for name, p in prompts.named_parameters() if not name.startswith("no_mask_embed"))
    return Description(
        all=summed(per_model.values()),
        per_model=per_model,
        unused_prompt_encoder=unused * len(per_model),
        architecture=architecture(method, backbone, facts),
        shared=shared,
    )
