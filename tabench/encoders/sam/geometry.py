"""Sizes of the SAM variants. No torch: `plan` and `describe` read these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tabench.encoders.base import LayerSpec

if TYPE_CHECKING:
    from torch import nn

SMALL_IMAGE = 256  # up to this input side a whole batch fits anywhere, and cells can share a machine
MLP_RATIO = 4  # segment_anything's own default, which all its variants have


@dataclass(frozen=True)
class Backbone:
    """A SAM variant.

    Attributes:
        name: Registry name.
        image_size: Side of the square input, pixels.
        patch_size: Side of a patch, pixels.
        embed_dim: Width of the encoder.
        depth: Number of encoder blocks.
        num_heads: Attention heads of the encoder.
        global_attn_indexes: Blocks that attend globally; the others attend in windows.
        window_size: Side of a window, tokens.
        out_chans: Channels of the image embedding (and of the decoder's transformer).
        decoder_heads: Attention heads of the mask decoder.
        decoder_mlp_dim: Width of the mask decoder's MLP.
        shipped: File inside the package that holds its weights, if it is shipped.
        url: Where the official checkpoint is kept, for messages.
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

    def linears(self, encoder: nn.Module) -> list[LayerSpec]:
        """The four layers of every block: the fused qkv, proj and the MLP's two."""
        width, wide, heads = self.embed_dim, MLP_RATIO * self.embed_dim, self.num_heads
        found = []
        for block in range(self.depth):
            at = f"blocks.{block}."
            found += [
                LayerSpec(f"{at}attn.qkv", block, "qkv", width, 3 * width, ("q", "k", "v"), heads),
                LayerSpec(f"{at}attn.proj", block, "proj", width, width, ("proj",), heads),
                LayerSpec(f"{at}mlp.lin1", block, "mlp.lin1", width, wide, ("mlp.lin1",), 0),
                LayerSpec(f"{at}mlp.lin2", block, "mlp.lin2", wide, width, ("mlp.lin2",), 0),
            ]
        return found

    def norms(self, encoder: nn.Module) -> list[str]:
        """`norm1` and `norm2` of every block."""
        return [f"blocks.{block}.{norm}" for block in range(self.depth) for norm in ("norm1", "norm2")]


_URL = "https://dl.fbaipublicfiles.com/segment_anything/"

VIT_B = Backbone("vit_b", 1024, 16, 768, 12, 12, (2, 5, 8, 11), 14, url=_URL + "sam_vit_b_01ec64.pth")
VIT_L = Backbone("vit_l", 1024, 16, 1024, 24, 16, (5, 11, 17, 23), 14, url=_URL + "sam_vit_l_0b3195.pth")
VIT_H = Backbone("vit_h", 1024, 16, 1280, 32, 16, (7, 15, 23, 31), 14, url=_URL + "sam_vit_h_4b8939.pth")
VIT_NANO = Backbone(
    "sam_vit_nano",
    image_size=96,
    patch_size=8,
    embed_dim=128,
    depth=4,
    num_heads=4,
    global_attn_indexes=(1, 3),
    window_size=6,
    out_chans=64,
    decoder_heads=4,
    decoder_mlp_dim=256,
    iou_hidden_dim=64,
    shipped="weights/sam_vit_nano.safetensors",
)
