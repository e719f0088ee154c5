"""Sizes of a SAM variant. No torch: planning reads these."""

from __future__ import annotations

from dataclasses import dataclass

# SAM's training statistics of RGB images in 0..255 (segment_anything/build_sam.py)
PIXEL_MEAN = (123.675, 116.28, 103.53)
PIXEL_STD = (58.395, 57.12, 57.375)


@dataclass(frozen=True)
class Geometry:
    """Sizes of a SAM variant, and where its weights are; what is not told here is told in `Encoder`.

    Attributes:
        num_heads: Attention heads of the encoder.
        global_attn_indexes: Blocks that attend globally; the others attend in windows.
        window_size: Side of a window, tokens.
        out_chans: Channels of the image embedding (and of the decoder's transformer).
    """

    name: str
    image_size: int
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    global_attn_indexes: tuple[int, ...]
    window_size: int
    out_chans: int = 256
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    iou_hidden_dim: int = 256
    shipped: str | None = None
    url: str | None = None

    @property
    def grid(self) -> int:
        """Side of the token grid."""
        return self.image_size // self.patch_size
