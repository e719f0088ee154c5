"""Sizes that are measured: SAM's own, and its geometry cut down to what two CPU cores can do. No torch.

A cut-down ViT-B keeps SAM's width, heads, windows of 14 tokens and one global block in three; only depth and
input are smaller. Its windows pad a small grid much: 16 tokens a side to 28, 32 to 42 (SAM: 64 to 70). The
plain path computes all padded tokens, as SAM does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from tabench.catalog import BACKBONES
from tabench.encoders.sam.family import VIT_B, VIT_NANO, Backbone
from tabench.errors import SpecError

_PAPER_IMAGE = (288, 384)  # NYUv2 as the method's authors use it; SAM resizes it to its input
_SAM_SIDE = 1024


@dataclass(frozen=True)
class Size:
    """A geometry and the images it is fed."""

    name: str  # in job names and tables
    backbone: Backbone
    image: tuple[int, int]  # (height, width) of images, targets and outputs, pixels

    @property
    def padded(self) -> int:
        """Tokens a side that windowed attention sees."""
        window = self.backbone.window_size
        return -(-self.backbone.grid // window) * window if window else self.backbone.grid


def find_size(name: str) -> Size:
    """Look a size up: "nano", "nano-128" (input), "b12-512" (ViT-B of depth 12), or a registered backbone.

    Raises SpecError: there is no such size.
    """
    kind, _, rest = name.partition("-")
    if kind == "nano" and (not rest or rest.isdigit()):
        return _resized(name, VIT_NANO, int(rest or VIT_NANO.image_size))
    if kind[:1] == "b" and kind[1:].isdigit() and rest.isdigit():
        depth = int(kind[1:])
        blocks = tuple(range(2, depth, 3))  # SAM's (2, 5, 8, 11), cut off
        return _resized(name, replace(VIT_B, depth=depth, global_attn_indexes=blocks), int(rest))
    kind, _, side = name.partition("@")  # a registered backbone at another input
    backbone = BACKBONES.get(kind)
    if side and not side.isdigit():
        raise SpecError(f"no size '{name}'", hint='write "vit_b@512", "b12-512" or "nano-128"')
    if side or backbone.image_size < _SAM_SIDE:
        return _resized(name, backbone, int(side or backbone.image_size))
    return Size(name, backbone, _PAPER_IMAGE)


def _resized(name: str, backbone: Backbone, side: int) -> Size:
    """Images of 3:4 that fill the input's width."""
    if side < backbone.patch_size or side % backbone.patch_size:
        raise SpecError(f"'{name}': an input of {side} is not whole patches of {backbone.patch_size} pixels")
    return Size(name, replace(backbone, name=name, image_size=side), (side * 3 // 4, side))
