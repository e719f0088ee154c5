"""Decoding all channels of a task at once with SAM's mask decoder.

`decode` computes what `decode_plain` does, up to rounding, with a fraction of the work. A decoder has
S = 5 output tokens, M image tokens and one row e_n a channel n; what it never needs M times is done S times:

- Before the first attention the tokens are the same for all channels and images.
- e_n adds the same number to all logits of a row, so the first attention of tokens to the image has the
  same weights for every channel; its values only shift by e_n.
- A projection of all image tokens that is multiplied with a few tokens is moved to those
  (q . W x = W^T q . x), likewise the projections of the values and of the output.
- A transposed convolution whose stride is its kernel is one product a token.
- Only mask token 0 is read: the other tokens' final attention, MLPs 1-3 and the IoU head are left out.
- On a CPU the upscaling of many large channels is done channel by channel, and again in the backward pass: of
  its three maps, each as large as all channels' image tokens, none is kept.
"""

from __future__ import annotations

from typing import cast

import torch
from segment_anything.modeling import MaskDecoder
from segment_anything.modeling.common import LayerNorm2d
from segment_anything.modeling.transformer import Attention
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

_Upscaling = tuple[nn.ConvTranspose2d, LayerNorm2d, nn.Module, nn.ConvTranspose2d, nn.Module]
READ = 1  # token 0 is the IoU token, mask token 0 follows
LARGE = 2**22  # numbers in the image tokens of all channels from which on channels are upscaled one by one


def freeze_idle(decoder: MaskDecoder) -> list[str]:
    """Mark the parts that only mask tokens 1-3 and the IoU prediction use as not trained; their names."""
    others = range(READ, len(decoder.output_hypernetworks_mlps))
    names = [*(f"output_hypernetworks_mlps.{index}" for index in others), "iou_prediction_head"]
    for name in names:
        decoder.get_submodule(name).requires_grad_(False)
    return names


def decode(decoder: MaskDecoder, embedding: Tensor, no_mask: Tensor, dense_pe: Tensor) -> Tensor:
    """SAM's mask decoder for all images and channels at once; see the module for what is saved.

    Args:
        decoder: The task's decoder.
        embedding: Image embeddings (B, C, h, w).
        no_mask: The task's "no mask" rows (N, C).
        dense_pe: Positional encoding of the grid (1, C, h, w).

    Returns:
        Raw channels (B, N, 4h, 4w).
    """
    h, w = embedding.shape[-2:]
    transformer = decoder.transformer
    tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])  # (S, C)
    pe = dense_pe.flatten(2).mT  # (1, M, C)
    image = embedding.flatten(2).mT[:, None]  # (B, 1, M, C): the same for every channel so far
    rows = no_mask[:, None]  # (N, 1, C): what tells the channels apart
    queries = tokens
    for number, layer in enumerate(transformer.layers):
        first = number == 0
        if first:
            queries = layer.self_attn(*[queries[None]] * 3)[0]
        else:
            q = queries + tokens
            queries = queries + _attend_tokens(layer.self_attn, q, queries)
        queries = layer.norm1(queries)
        shift = rows if first else None
        queries = queries + _read_image(layer.cross_attn_token_to_image, queries + tokens, image, pe, shift)
        queries = layer.norm2(queries)
        queries = layer.norm3(queries + layer.mlp(queries))
        change = _read_tokens(layer.cross_attn_image_to_token, image, pe, shift, queries + tokens, queries)
        image = layer.norm4((image + rows if first else image) + change)
    read, token = queries[..., READ : READ + 1, :], tokens[READ : READ + 1]
    read = read + _read_image(transformer.final_attn_token_to_image, read + token, image, pe, None)
    read = transformer.norm_final_attn(read)
    weights = decoder.output_hypernetworks_mlps[0](read)  # (B, N, 1, C/8)
    if image.is_cpu and torch.is_grad_enabled() and image.numel() >= LARGE:
        channels = zip(image.split(1, 1), weights.split(1, 1), strict=True)
        upscaled = [
            checkpoint(
                _upscaled,
                decoder.output_upscaling,
                *channel,
                h,
                w,
                use_reentrant=False,
                preserve_rng_state=False,
            )
            for channel in channels
        ]
        return torch.cat(upscaled, 1)
    return _upscaled(decoder.output_upscaling, image, weights, h, w)


def _heads(projection: nn.Linear, heads: int) -> Tensor:
    """A projection's weight as (H, d, inputs)."""
    return projection.weight.unflatten(0, (heads, -1))


def _split(x: Tensor, heads: int) -> Tensor:
    """(..., S, D) as (..., H, S, d)."""
    return x.unflatten(-1, (heads, -1)).transpose(-2, -3)


def _joined(x: Tensor) -> Tensor:
    """(..., H, S, d) as (..., S, D)."""
    return x.transpose(-2, -3).flatten(-2)


def _attend_tokens(attention: Attention, q: Tensor, v: Tensor) -> Tensor:
    """Self-attention of the few tokens (..., S, C), keys = queries."""
    heads = attention.num_heads
    query = _split(attention.q_proj(q), heads)
    key, value = _split(attention.k_proj(q), heads), _split(attention.v_proj(v), heads)
    scores = query @ key.mT * query.shape[-1] ** -0.5
    return attention.out_proj(_joined(scores.softmax(dim=-1) @ value))


def _read_image(attention: Attention, q: Tensor, image: Tensor, pe: Tensor, shift: Tensor | None) -> Tensor:
    """Attention of tokens to the image.

    Args:
        attention: Its projections. The key bias changes nothing, being the same for a row of the softmax; it
            stays in the sum so that every trained parameter is in the graph.
        q: Queries (..., S, C).
        image: Image tokens (B, N or 1, M, C).
        pe: Added to the keys (1, M, C).
        shift: (N, 1, C) that every image token still lacks: it moves the values, not the weights.

    Returns:
        (B, N, S, C).
    """
    heads = attention.num_heads
    query = _split(attention.q_proj(q), heads)
    query = query * query.shape[-1] ** -0.5
    bias = query @ attention.k_proj.bias.unflatten(0, (heads, -1))[..., None]  # (..., H, S, 1)
    flat = (query @ _heads(attention.k_proj, heads)).flatten(-3, -2)  # (..., H * S, C)
    scores = flat @ image.mT + (flat @ pe.mT + bias.flatten(-3, -2))  # (B, N or 1, H * S, M)
    mean = (scores.softmax(dim=-1) @ image).unflatten(-2, (heads, -1))
    value = _joined(mean @ _heads(attention.v_proj, heads).mT)
    if shift is not None:
        value = value + F.linear(shift, attention.v_proj.weight)
    return attention.out_proj(value + attention.v_proj.bias)


def _read_tokens(
    attention: Attention, image: Tensor, pe: Tensor, shift: Tensor | None, k: Tensor, v: Tensor
) -> Tensor:
    """Attention of the image to the tokens.

    Args:
        attention: Its projections.
        image: Image tokens (B, N or 1, M, C).
        pe: Added to the queries (1, M, C).
        shift: (N, 1, C) that every image token still lacks, or None.
        k: Keys (B, N, S, C).
        v: Values (B, N, S, C).

    Returns:
        (B, N, M, C).
    """
    heads = attention.num_heads
    key = _split(attention.k_proj(k), heads)  # (B, N, H, S, d)
    key = key * key.shape[-1] ** -0.5
    bias = key @ attention.q_proj.bias.unflatten(0, (heads, -1))[..., None]  # (B, N, H, S, 1)
    key = (key @ _heads(attention.q_proj, heads)).flatten(-3, -2)  # (B, N, H * S, C)
    offset = bias.flatten(-3, -2)
    if shift is not None:
        offset = offset + key @ shift.mT
        scores = (key.flatten(1, 2) @ (image[:, 0] + pe).mT).unflatten(1, (len(shift), -1)) + offset
    else:
        scores = key @ image.mT + key @ pe.mT + offset  # (B, N, H * S, M)
    weights = scores.unflatten(-2, (heads, -1)).softmax(dim=-2).flatten(-3, -2)
    value = _split(attention.v_proj(v), heads)  # (B, N, H, S, d)
    out = attention.out_proj.weight.unflatten(1, (heads, -1)).permute(1, 2, 0)  # (H, d, C)
    return weights.mT @ (value @ out).flatten(-3, -2) + attention.out_proj.bias


def _upscaled(upscaling: nn.Sequential, image: Tensor, weights: Tensor, h: int, w: int) -> Tensor:
    """SAM's two transposed convolutions as products a token, then each channel's weighted sum.

    Args:
        upscaling: ConvTranspose2d, LayerNorm2d, GELU, ConvTranspose2d, GELU.
        image: Image tokens (B, N, M, C).
        weights: (B, N, 1, C/8).
        h: Rows of the grid.
        w: Columns of the grid.

    Returns:
        (B, N, 4h, 4w).
    """
    first, norm, activation, second, last = cast(_Upscaling, tuple(upscaling))
    x = _fourfold(image, first)  # (B, N, M, 4, C/4)
    x = activation(F.layer_norm(x, x.shape[-1:], norm.weight, norm.bias, norm.eps))
    x = last(_fourfold(x, second))  # (B, N, M, 4, 4, C/8)
    b, n = x.shape[:2]
    x = x.flatten(2, 4) @ weights.mT  # (B, N, 16 M, 1)
    return x.reshape(b, n, h, w, 2, 2, 2, 2).permute(0, 1, 2, 4, 6, 3, 5, 7).reshape(b, n, 4 * h, 4 * w)


def _fourfold(x: Tensor, convolution: nn.ConvTranspose2d) -> Tensor:
    """A transposed convolution with kernel 2 and stride 2 on tokens (..., C): (..., 4, outputs)."""
    weight = convolution.weight.permute(0, 2, 3, 1).flatten(1)  # (C, 4 * outputs)
    return (x @ weight).unflatten(-1, (4, -1)) + convolution.bias


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
