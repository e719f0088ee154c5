"""The image encoder's forward pass for all tasks at once.

`encode` computes what SAM's own forward pass with each task's weights does, up to rounding, with less work:

- What comes before the first adapter (patches, positions, the first norm and its W0 product) is the same for
  all tasks and done once.
- SAM pads a grid to whole windows with zeros after the norm. Queries, keys and values of such a token are the
  bias alone, so the products only see real tokens, and the bias is put where the padding is.
- Attention never makes its whole matrix of scores (`attention`).

All of this holds for SAM's own modules and for adapted layers that say so; others are called (`ways`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from typing import cast

import torch
from segment_anything.modeling import ImageEncoderViT
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.image_encoder import Attention, Block
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

from tabench.encoders.base import TaskFold
from tabench.encoders.folding import folded
from tabench.encoders.sam.attention import attend
from tabench.encoders.sam.ways import encoder_is_own, foreign_in_block, neck_is_own, starts_shared
from tabench.encoders.sam.windows import to_grid, to_windows

_Neck = tuple[nn.Conv2d, LayerNorm2d, nn.Conv2d, LayerNorm2d]


def encode(
    encoder: ImageEncoderViT,
    inputs: Tensor,
    tasks: Sequence[int] | None = None,
    *,
    recompute: bool = False,
    compiled: bool = False,
) -> Tensor:
    """Image embeddings of all tasks.

    What is not as SAM was built (`ways`) runs by SAM's own forward: a block, the neck, or the whole encoder.

    Args:
        encoder: A SAM image encoder, adapted or not.
        inputs: (B, 3, S, S).
        tasks: Indices of the T tasks wanted, for an encoder that tells tasks apart: its `task_fold` hears of
            them, and its layers see their rows as one batch, task-major. None: one embedding for all.
        recompute: Keep only the blocks' inputs for the backward pass and compute the rest again (activation
            checkpointing): less memory, about a third more time. Of an encoder with a forward of its own,
            only its input is kept.
        compiled: Run the blocks through torch.compile, where they are SAM's own.

    Returns:
        (T*B, C, h, w), task-major.
    """

    def announced() -> AbstractContextManager[None]:
        if tasks is None:
            return nullcontext()
        found: AbstractContextManager[None] = encoder.task_fold.select(tasks)
        return found

    def run(step: Callable[..., Tensor], *given: object) -> Tensor:
        with announced():  # when computed again, too
            return step(*given)

    def kept(step: Callable[..., Tensor], *given: object) -> Tensor:
        if recompute and torch.is_grad_enabled():
            found: Tensor = checkpoint(run, step, *given, use_reentrant=False)
            return found
        return run(step, *given)

    if not encoder_is_own(encoder):
        whole: Tensor = folded(encoder, inputs, tasks, recompute=recompute)
        return whole
    fold: TaskFold | None = None if tasks is None else encoder.task_fold
    copies = 1 if fold is None or tasks is None else len(fold.rows(tasks))
    first, images = 0 if fold is None else fold.first_block, len(inputs)
    if copies > 1 and first == 0 and not starts_shared(encoder, 0):
        inputs, copies = inputs.repeat(copies, 1, 1, 1), 1
    forward = _compiled() if compiled else forward_block
    # Patches come out of a convolution channels first in memory, and sums would keep that order: each norm
    # of each block would copy its tokens.
    tokens = (run(encoder.patch_embed, inputs) + encoder.pos_embed).contiguous()
    for index, block in enumerate(encoder.blocks):
        here = copies if index >= first else 1
        if here > 1 and index > 0 and not starts_shared(encoder, index):
            tokens, here = tokens.repeat(here, 1, 1, 1), 1
        if foreign_in_block(encoder, index) is None:
            tokens = kept(forward, block, tokens, here)
        else:
            tokens = kept(block, tokens)
        if index >= first:
            copies = 1  # from here on every task has its rows
    if fold is not None and fold.free_stream:
        tokens = tokens[images:]  # the rows of no task come first
    if not neck_is_own(encoder):
        return run(encoder.neck, tokens.permute(0, 3, 1, 2))
    return run(_neck, encoder.neck, tokens)


@cache
def _compiled() -> Callable[[Block, Tensor, int], Tensor]:
    """`forward_block` compiled; blocks of one shape share what was compiled.

    Global and windowed blocks, the first one and the others, training and evaluation, one task and all are
    compiled apart: more than torch allows by itself.
    """
    torch._dynamo.config.recompile_limit = max(torch._dynamo.config.recompile_limit, 32)
    return torch.compile(forward_block, dynamic=False)


def forward_block(block: Block, tokens: Tensor, copies: int) -> Tensor:
    """One transformer block.

    Args:
        block: SAM's block, its `attn.qkv` adapted or not.
        tokens: (B, H, W, C).
        copies: Rows that come out, one a task, for each row that goes in.

    Returns:
        (copies * B, H, W, C).
    """
    attention = block.attn
    mixed = attention.proj(_attention(attention, block.norm1(tokens), block.window_size, copies))
    tokens = (tokens + mixed.unflatten(0, (copies, -1))).flatten(0, 1)
    change: Tensor = block.mlp(block.norm2(tokens))
    return tokens + change


def _attention(attention: Attention, tokens: Tensor, window: int, copies: int) -> Tensor:
    """Attention before its last projection.

    Args:
        attention: Its layers and tables.
        tokens: Normed tokens (B, H, W, C).
        window: Side of a window; 0 for the whole grid.
        copies: As in `forward_block`.

    Returns:
        (copies * B, H, W, C).
    """
    layer, (height, width) = attention.qkv, tokens.shape[1:3]
    size = (window or height, window or width)
    at_zero = layer.bias if isinstance(layer, nn.Linear) else layer.at_zero
    if at_zero is None:  # SAM's own way
        tokens = F.pad(tokens, (0, 0, 0, -width % size[1], 0, -height % size[0]))
    qkv = layer(tokens) if copies == 1 else layer.spread(tokens)
    windows = to_windows(qkv.unflatten(-1, (3, attention.num_heads, -1)), at_zero, size)
    q, k, v = windows.flatten(5, 6).flatten(1, 4)
    mixed = attend(q, k, v, (attention.rel_pos_h, attention.rel_pos_w), size)
    return to_grid(mixed.view(1, *windows.shape[1:]), (height, width)).flatten(-3)


def _neck(neck: nn.Sequential, tokens: Tensor) -> Tensor:
    """SAM's neck on tokens (B, H, W, C), its 1 x 1 convolution as a product; (B, outputs, H, W)."""
    narrow, first, mix, second = cast(_Neck, tuple(neck))
    x = _norm(first, F.linear(tokens, narrow.weight.flatten(1)))
    x = mix(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    return _norm(second, x).permute(0, 3, 1, 2)


def _norm(norm: LayerNorm2d, tokens: Tensor) -> Tensor:
    return F.layer_norm(tokens, tokens.shape[-1:], norm.weight, norm.bias, norm.eps)
