"""SAM's parts, built from segment_anything's own modules for any geometry."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from segment_anything.modeling import ImageEncoderViT, MaskDecoder, PromptEncoder, Sam, TwoWayTransformer
from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from torch import nn

from tabench.encoders.sam.as_built import note
from tabench.encoders.sam.geometry import PIXEL_MEAN, PIXEL_STD, Geometry

if TYPE_CHECKING:
    from tabench.encoders.base import Encoder


def build_image_encoder(backbone: Geometry) -> ImageEncoderViT:
    """The image encoder: (B, 3, S, S) to (B, C, S/patch, S/patch)."""
    encoder = ImageEncoderViT(
        img_size=backbone.image_size,
        patch_size=backbone.patch_size,
        embed_dim=backbone.embed_dim,
        depth=backbone.depth,
        num_heads=backbone.num_heads,
        out_chans=backbone.out_chans,
        norm_layer=partial(nn.LayerNorm, eps=1e-6),  # as build_sam.py has it; torch's own default is 1e-5
        use_rel_pos=True,
        window_size=backbone.window_size,
        global_attn_indexes=backbone.global_attn_indexes,
    )
    encoder.family = backbone
    note(encoder)
    return encoder


def build_mask_decoder(backbone: Geometry | Encoder) -> MaskDecoder:
    """The mask decoder, with SAM's four mask tokens and its IoU head."""
    decoder = MaskDecoder(
        transformer_dim=backbone.out_chans,
        transformer=TwoWayTransformer(
            depth=2,
            embedding_dim=backbone.out_chans,
            num_heads=backbone.decoder_heads,
            mlp_dim=backbone.decoder_mlp_dim,
        ),
        iou_head_hidden_dim=backbone.iou_hidden_dim,
    )
    note(decoder)
    return decoder


def build_position_encoding(backbone: Geometry | Encoder) -> PositionEmbeddingRandom:
    """The random Fourier encoding of the token grid; its frequencies come from the checkpoint."""
    return PositionEmbeddingRandom(backbone.out_chans // 2)


def build_sam(backbone: Geometry) -> Sam:
    """The whole of SAM, prompt encoder included; its state dict has SAM's own keys."""
    return Sam(
        image_encoder=build_image_encoder(backbone),
        prompt_encoder=PromptEncoder(
            embed_dim=backbone.out_chans,
            image_embedding_size=(backbone.grid, backbone.grid),
            input_image_size=(backbone.image_size, backbone.image_size),
            mask_in_chans=16,
        ),
        mask_decoder=build_mask_decoder(backbone),
        pixel_mean=list(PIXEL_MEAN),
        pixel_std=list(PIXEL_STD),
    )
