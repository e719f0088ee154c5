"""mSAM written plainly: the reference of the fast path in tests, and the other side of the benchmark.

A loop over tasks around SAM's own, unchanged modules, as the method's authors compute it: each task runs the
whole encoder with its dense update dW_t (TensorLy builds dW from its factors), and each image its own call of
SAM's mask decoder; outputs are resized by F.interpolate. `plainly` lets a model run so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal, cast

import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder
from torch import Tensor, nn

from tabench.encoders.base import TaskFold, declares
from tabench.encoders.folding import folded
from tabench.encoders.msam import MSam
from tabench.encoders.sam.decoding import decode_plain


class DenseLinear(nn.Module):
    """An adapted layer with its update (d, k, T) as a dense tensor.

    `task` is the index of the slice dW_t in use; updates of one slice serve every task.
    """

    def __init__(self, layer: Any, update: Tensor) -> None:
        super().__init__()
        self.base, self.task, self.update = layer.base, 0, update
        self.dropout: nn.Dropout | None = getattr(layer, "dropout", None)

    def forward(self, x: Tensor) -> Tensor:
        """Return (W0 + s dW_t^T) x + b; with dropout W0 x + b + s dW_t^T dropout(x)."""
        update = self.update[:, :, min(self.task, self.update.shape[2] - 1)]
        if self.dropout is not None and self.dropout.training and self.dropout.p > 0:
            return self.base(x) + self.dropout(x) @ update
        return F.linear(x, self.base.weight + update.T, self.base.bias)


Way = Literal["fast", "plain"]


def plainly(model: MSam, plain: bool = True) -> MSam:
    """Let a model run plainly from now on, or by its fast path again; returns it."""
    model.instead = plain_forward if plain else None
    return model


def plain_forward(
    model: MSam, images: Tensor, out_size: tuple[int, int], tasks: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """`MSam.forward`, task by task."""
    order = list(model.channels)
    inputs, (height, width) = model.prepare(images)
    dense_pe = model.dense_pe()
    outputs: dict[str, Tensor] = {}
    embedding: Tensor | None = None
    with dense_updates(model.image_encoder) as layers:
        fold: TaskFold | None = getattr(model.image_encoder, "task_fold", None)
        for task in order if tasks is None else tasks:
            for layer in layers:
                layer.task = order.index(task)
            if embedding is None or fold is not None:  # where tasks share one encoder, it runs once
                found = folded(model.image_encoder, inputs, None if fold is None else [order.index(task)])
                embedding = model.backbone.named(found)["embedding"]
            decoder = cast(MaskDecoder, model.decoders[task])
            masks = decode_plain(decoder, embedding, model.no_mask[task], dense_pe)
            masks = masks.to(torch.promote_types(masks.dtype, torch.float32))  # bf16 autocast ends here
            side = (model.backbone.image_size,) * 2
            # The two resizings one after the other, as SAM's `postprocess_masks` does them.
            whole = F.interpolate(masks, side, mode="bilinear", align_corners=False)
            whole = whole[..., :height, :width]
            outputs[task] = F.interpolate(whole, out_size, mode="bilinear", align_corners=False)
    return outputs


@contextmanager
def dense_updates(encoder: nn.Module) -> Iterator[list[DenseLinear]]:
    """Put dense updates in place of factored ones while the context lasts, each dW built once.

    Layers whose class does not say itself that it is its base and a dense update run as they are.
    """
    fold: TaskFold | None = getattr(encoder, "task_fold", None)
    tasks = (0,) if fold is None else fold.tasks  # all of them: nothing is announced here
    if fold is not None and fold.free_stream:  # whose rows have no slice of an update
        yield []
        return
    made: dict[nn.Module, DenseLinear] = {}
    # A layer in two places is one dense layer in both, as its parameters are one.
    replaced: list[tuple[nn.Module, str, nn.Module]] = []
    for parent in list(encoder.modules()):
        for name, layer in parent._modules.items():
            # Factors have a `dense` too; a layer also has a base, and says what it makes of a task's rows.
            if layer is None or not (hasattr(layer, "base") and hasattr(layer, "applied")):
                continue
            if declares(layer, "dense"):
                update = None if layer in made else cast(Any, layer).dense(tasks)
                if update is not None:
                    made[layer] = DenseLinear(layer, update)
                if layer in made:
                    replaced.append((parent, name, layer))
    try:
        for parent, name, layer in replaced:
            parent.register_module(name, made[layer])
        yield list(made.values())
    finally:
        for parent, name, layer in replaced:
            parent.register_module(name, layer)
