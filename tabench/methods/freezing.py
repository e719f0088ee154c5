"""Which of the encoder's own parameters are trained."""

from __future__ import annotations

from segment_anything.modeling import ImageEncoderViT


def train_norms_only(encoder: ImageEncoderViT) -> None:
    """Freeze an image encoder except `norm1` and `norm2` of every block (neck included)."""
    encoder.requires_grad_(False)
    for block in encoder.blocks:
        block.norm1.requires_grad_(True)
        block.norm2.requires_grad_(True)
