"""A frozen encoder: only decoders and embeddings are trained."""

from __future__ import annotations

from collections.abc import Mapping

from segment_anything.modeling import ImageEncoderViT

from tabench.methods.base import Value


def adapt(encoder: ImageEncoderViT, num_tasks: int, params: Mapping[str, Value]) -> None:
    """Train nothing in the encoder, so autograd records nothing of it either."""
    encoder.requires_grad_(False)
