"""Decoding a task's channels with SAM's mask decoder, plainly and batched."""

from __future__ import annotations

import torch
from segment_anything.modeling import MaskDecoder
from torch import Tensor


def freeze_idle(decoder: MaskDecoder) -> None:
    """Mark the parts that only mask tokens 1-3 and the IoU prediction use as not trained."""
    decoder.output_hypernetworks_mlps[1:].requires_grad_(False)
    decoder.iou_prediction_head.requires_grad_(False)


def decode_plain(decoder: MaskDecoder, embedding: Tensor, no_mask: Tensor, dense_pe: Tensor) -> Tensor:
    """Call the stock decoder once an image: the reference of `decode_batched`.

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


def decode_batched(decoder: MaskDecoder, embedding: Tensor, no_mask: Tensor, dense_pe: Tensor) -> Tensor:
    """`decode_plain` for all images at once, without the work that mask token 0 never reads.

    The stock forward repeats its image embeddings once per prompt, which is right for one
    image only, and runs three mask MLPs and the IoU head that nothing uses here. This goes
    through the same sub-modules with images x channels as the batch.
    """
    images, width, h, w = embedding.shape
    channels = no_mask.shape[0]
    batch = images * channels
    source = (embedding[:, None] + no_mask[None, :, :, None, None]).reshape(batch, width, h, w)
    tokens = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    hidden, source = decoder.transformer(
        source, dense_pe.expand(batch, -1, -1, -1), tokens.expand(batch, -1, -1)
    )
    upscaled = decoder.output_upscaling(source.transpose(1, 2).reshape(batch, width, h, w))
    weights = decoder.output_hypernetworks_mlps[0](hidden[:, 1])  # token 0 is the IoU token
    masks = torch.einsum("nc,nchw->nhw", weights, upscaled)
    return masks.unflatten(0, (images, channels))
