"""Folding updates into the encoder's weights: the encoder of a task, and a whole model for inference."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from tabench.encoders.base import declares
from tabench.encoders.msam import MSam, known_tasks
from tabench.errors import SpecError
from tabench.methods.adapted import OneTask, Shared, TaskModule, adapted_layers, said

_SHOWN = 3


def merged_encoder(model: MSam, task: int, *, share: bool = False, keep: bool = False) -> nn.Module:
    """A copy of the encoder for one task, with W0 + s * dW[:, :, task]^T in every adapted layer.

    It equals the adapted encoder in evaluation mode. With `share` all weights but the merged ones are the
    model's own tensors. With `keep`, modules that cannot be folded into weights stay, each for this task
    alone, where it is known what they do for a task; without, the state dict has the encoder's own keys.

    Raises:
        SpecError: The encoder holds something that is neither its own nor can be merged or kept.
    """
    own = model.image_encoder
    # What `deepcopy` finds in its memo it takes as it is: so weights are shared and modules are not.
    same = {id(parameter): parameter for parameter in own.parameters()} if share else {}
    encoder = copy.deepcopy(own, same)
    shared = not hasattr(encoder, "task_fold")
    index = 0 if shared else task
    # A list, since layers are replaced on the way.
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


class MergedMSam(nn.Module):
    """The outputs of an adapted model in evaluation mode, without its adapters.

    A task-aware model becomes a plain encoder a task, W0 + s * dW[:, :, t]^T in its attention; where all
    tasks share one encoder it stays one (`models`). One task then costs what SAM's encoder costs. What cannot
    be folded into weights stays, where it is known what it does for a task. Decoders, embeddings and every
    weight that no update changes are the model's own tensors.

    With `bf16` the encoders' linear layers keep their weights in bf16, where autocast to bf16 would make them
    so in every pass; outputs are those of autocast, which is on by itself.
    """

    def __init__(self, model: MSam, *, bf16: bool = False) -> None:
        super().__init__()
        self.bf16 = bf16
        self.tasks = tuple(model.channels)
        groups = [(task,) for task in self.tasks] if model.task_aware else [self.tasks]
        parts = [_part(model, index, group) for index, group in enumerate(groups)]
        for part in parts if bf16 else ():
            _narrow(part.image_encoder)
        self.models = nn.ModuleList(parts)
        self.eval()

    @torch.no_grad()
    def forward(
        self, images: Tensor, out_size: tuple[int, int], tasks: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Raw channels, as `MSam.forward` gives them in evaluation mode.

        Raises:
            SpecError: A task that this model does not have.
        """
        names = known_tasks(self.tasks, tasks)
        found: dict[str, Tensor] = {}
        precision = torch.autocast(images.device.type, torch.bfloat16) if self.bf16 else nullcontext()
        with precision:
            for model in self.models:
                assert isinstance(model, MSam)
                if wanted := [name for name in names if name in model.channels]:
                    found |= model(images, out_size, wanted)
        return {name: found[name] for name in names}


def _narrow(encoder: nn.Module) -> None:
    """Linear layers' weights in bf16, but for those of modules that stay, which may read them otherwise."""
    stay = [name for name, module in encoder.named_modules() if isinstance(module, OneTask)]
    for name, layer in encoder.named_modules():
        if type(layer) is nn.Linear and not _in(name, stay):
            # A new parameter: the old one may be the model's own.
            layer.weight = nn.Parameter(layer.weight.to(torch.bfloat16), requires_grad=False)


def _part(model: MSam, index: int, tasks: Sequence[str]) -> MSam:
    """An mSAM of some of the tasks with the merged encoder of task `index`."""
    # Built without memory: every part of it is replaced by the model's own.
    with torch.device("meta"):
        part = MSam(model.backbone, {task: model.channels[task] for task in tasks})
    part.image_encoder = merged_encoder(model, index, share=True, keep=True)
    part.pe_layer = model.pe_layer
    part.no_mask = nn.ParameterDict({task: model.no_mask[task] for task in tasks})
    part.decoders = nn.ModuleDict({task: model.decoders[task] for task in tasks})
    part.pixel_mean, part.pixel_std = model.pixel_mean, model.pixel_std
    part.instead = model.instead
    return part
