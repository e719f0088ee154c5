"""Folding a task's update into the encoder's weights."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Protocol

from segment_anything.modeling import ImageEncoderViT
from torch import nn

from tabench.errors import SpecError
from tabench.methods.injection import AdaptedLinear
from tabench.text import few

_SHOWN = 3


class Mergeable(Protocol):
    """A model whose encoder a method adapted."""

    image_encoder: ImageEncoderViT

    def strangers(self, encoder: nn.Module) -> Iterable[str]:
        """Names of what an encoder has that SAM's does not have, or has otherwise."""
        ...


def merged_encoder(model: Mergeable, task: int, *, share: bool = False) -> ImageEncoderViT:
    """A plain image encoder that gives one task's embedding.

    Args:
        model: A model with an adapted `image_encoder`; it is not changed.
        task: Index of the task in the order the tasks are folded.
        share: Whether all weights but the merged ones are the model's own tensors, not copies of them.

    Returns:
        A copy of the encoder with W0 + s * dW[:, :, task]^T in place of every adapted layer. It
        equals the adapted encoder in evaluation mode, and its state dict has SAM's own keys. Where
        all tasks share one update, every task gives the same encoder.

    Raises:
        SpecError: The encoder holds something that is neither SAM's own nor an adapted layer that merges.
    """
    own = model.image_encoder
    kept = {id(parameter): parameter for parameter in own.parameters()} if share else {}
    encoder = copy.deepcopy(own, kept)
    shared = not hasattr(encoder, "task_fold")
    for parent in list(encoder.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is AdaptedLinear and layer.row_wise:
                setattr(parent, name, layer.merged(0 if shared else task))
    if found := [f"'{name}'" for name in model.strangers(encoder)]:
        raise SpecError(
            f"the encoder cannot be merged: {few(found, _SHOWN)} "
            "is neither SAM's own nor an adapted layer that can be folded into its weights",
            hint="use the model as it is",
        )
    if not shared:
        del encoder.task_fold
    return encoder
