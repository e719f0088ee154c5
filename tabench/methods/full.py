"""Full fine-tuning: every parameter of the image encoder is trained, neck and positions included."""

from __future__ import annotations

from collections.abc import Mapping

from segment_anything.modeling import ImageEncoderViT

from tabench.methods.base import Value


def adapt(encoder: ImageEncoderViT, num_tasks: int, params: Mapping[str, Value]) -> None:
    """Train the whole encoder."""
    encoder.requires_grad_(True)
