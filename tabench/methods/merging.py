"""Folding a task's update into the encoder's weights."""

from __future__ import annotations

import copy

from segment_anything.modeling import ImageEncoderViT
from torch import nn

from tabench.methods.injection import AdaptedLinear


def merged_encoder(model: nn.Module, task: int, *, share: bool = False) -> ImageEncoderViT:
    """A plain image encoder that gives one task's embedding.

    Args:
        model: A model with an adapted `image_encoder`; it is not changed.
        task: Index of the task in the order the tasks are folded.
        share: Whether all weights but the merged ones are the model's own tensors, not copies of them.

    Returns:
        A copy of the encoder with W0 + s * dW[:, :, task]^T in place of every adapted layer. It
        equals the adapted encoder in evaluation mode, and its state dict has SAM's own keys. Where
        all tasks share one update, every task gives the same encoder.
    """
    own: ImageEncoderViT = model.image_encoder
    kept = {id(parameter): parameter for parameter in own.parameters()} if share else {}
    encoder = copy.deepcopy(own, kept)
    for block in encoder.blocks:
        layer = block.attn.qkv
        if isinstance(layer, AdaptedLinear):
            shared = not hasattr(encoder, "task_fold")
            block.attn.qkv = layer.merged(0 if shared else task)
    if hasattr(encoder, "task_fold"):
        del encoder.task_fold
    return encoder
