"""mSAM written plainly: the reference of the fast path in tests, and the other side of the benchmark.

A loop over tasks around SAM's own, unchanged modules, as the method's authors compute it: each task runs the
whole encoder with its dense update dW_t (TensorLy builds dW from its factors), and each image its own call of
SAM's mask decoder; outputs are resized by F.interpolate. Select it by ``model.path = "plain"``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Protocol, cast, runtime_checkable

import torch
import torch.nn.functional as F
from segment_anything.modeling import ImageEncoderViT, MaskDecoder
from torch import Tensor, nn

from tabench.encoders.base import declares
from tabench.encoders.msam import MSam


class _TaskFold(Protocol):
    """What a task-aware encoder carries as `task_fold`: which tasks its folded batch holds."""

    def select(self, tasks: Sequence[int]) -> AbstractContextManager[None]:
        """Announce the tasks, outermost in the batch, of the forward passes inside the context."""
        ...


@runtime_checkable
class _Adapted(Protocol):
    """What an adapted layer declares that is its base and a dense update."""

    base: nn.Linear

    def applied(self, x: Tensor, tasks: Sequence[int]) -> Tensor:
        """What it makes of the rows of some tasks."""
        ...

    def dense(self, tasks: Sequence[int]) -> Tensor | None:
        """The update (d, k, T) of some tasks; None where there is none such."""
        ...


class DenseLinear(nn.Module):
    """An adapted layer with its update as a dense tensor.

    Args:
        layer: The adapted layer.
        update: Its update (d, k, T).

    Attributes:
        task: Index of the slice dW_t in use; updates of one slice serve every task.
    """

    def __init__(self, layer: _Adapted, update: Tensor) -> None:
        super().__init__()
        self.base, self.task, self.update = layer.base, 0, update
        self.dropout: nn.Dropout | None = getattr(layer, "dropout", None)

    def forward(self, x: Tensor) -> Tensor:
        """Return (W0 + s dW_t^T) x + b; with dropout W0 x + b + s dW_t^T dropout(x)."""
        update = self.update[:, :, min(self.task, self.update.shape[2] - 1)]
        if self.dropout is not None and self.dropout.training and self.dropout.p > 0:
            return self.base(x) + self.dropout(x) @ update
        return F.linear(x, self.base.weight + update.T, self.base.bias)


def plain_forward(
    model: MSam, images: Tensor, out_size: tuple[int, int], tasks: Sequence[str] | None = None
) -> dict[str, Tensor]:
    """`MSam.forward`, task by task.

    Args:
        model: The model; its `path` does not matter here.
        images: (B, 3, H, W) in 0..1.
        out_size: (height, width) of the result.
        tasks: The tasks wanted; None for all.

    Returns:
        Task name to (B, N_t, height, width), before the task's activation.
    """
    order = list(model.channels)
    inputs, (height, width) = model.prepare(images)
    dense_pe = model.dense_pe()
    outputs: dict[str, Tensor] = {}
    embedding: Tensor | None = None
    with dense_updates(model.image_encoder) as layers:
        fold: _TaskFold | None = getattr(model.image_encoder, "task_fold", None)
        for task in order if tasks is None else tasks:
            for layer in layers:
                layer.task = order.index(task)
            if embedding is None or fold is not None:  # where tasks share one encoder, it runs once
                with nullcontext() if fold is None else fold.select([order.index(task)]):
                    embedding = model.image_encoder(inputs)
            decoder = cast(MaskDecoder, model.decoders[task])
            masks = decode_plain(decoder, embedding, model.no_mask[task], dense_pe)
            masks = masks.to(torch.promote_types(masks.dtype, torch.float32))  # bf16 autocast ends here
            side = (model.backbone.image_size,) * 2
            whole = F.interpolate(masks, side, mode="bilinear", align_corners=False)
            whole = whole[..., :height, :width]
            outputs[task] = F.interpolate(whole, out_size, mode="bilinear", align_corners=False)
    return outputs


@contextmanager
def dense_updates(encoder: ImageEncoderViT) -> Iterator[list[DenseLinear]]:
    """Put dense updates in place of factored ones while the context lasts, each dW built once.

    Layers whose class does not say itself that it is its base and a dense update run as they are.
    """
    fold = getattr(encoder, "task_fold", None)
    tasks = (0,) if fold is None else fold.tasks  # all of them: nothing is announced here
    made: dict[nn.Module, DenseLinear] = {}
    replaced: list[tuple[nn.Module, str, nn.Module]] = []
    for parent in list(encoder.modules()):
        for name, layer in parent._modules.items():
            if isinstance(layer, nn.Module) and isinstance(layer, _Adapted) and declares(layer, "dense"):
                update = None if layer in made else layer.dense(tasks)
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


def decode_plain(decoder: MaskDecoder, embedding: Tensor, no_mask: Tensor, dense_pe: Tensor) -> Tensor:
    """Call the stock decoder once an image; a task's channels are its batch.

    Args:
        decoder: The task's decoder.
        embedding: Image embeddings (B, C, h, w).
        no_mask: The task's "no mask" rows (N, C), one per output channel.
        dense_pe: Positional encoding of the grid (1, C, h, w).

    Returns:
        Raw channels (B, N, 4h, 4w).
    """
    channels, width = no_mask.shape
    dense = no_mask[:, :, None, None].expand(-1, -1, *embedding.shape[-2:])
    sparse = no_mask.new_empty(channels, 0, width)
    masks = []
    for image in embedding:
        low_res, _ = decoder(
            image_embeddings=image[None],
            image_pe=dense_pe,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            multimask_output=False,
        )
        masks.append(low_res[:, 0])
    return torch.stack(masks)
