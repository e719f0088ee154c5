"""Which of the encoder's own parameters are trained: all of them, none, or its blocks' norms."""

from __future__ import annotations

from collections.abc import Mapping

from torch import nn

from tabench.encoders.base import norms
from tabench.methods.base import Value


def train_all(encoder: nn.Module, num_tasks: int, params: Mapping[str, Value]) -> None:
    """Full fine-tuning: every parameter of the image encoder, neck and positions included."""
    encoder.requires_grad_(True)


def train_nothing(encoder: nn.Module, num_tasks: int, params: Mapping[str, Value]) -> None:
    """Train decoders and embeddings only, so that autograd records nothing of the encoder either."""
    encoder.requires_grad_(False)


def train_norms_only(encoder: nn.Module) -> None:
    """Freeze an image encoder except the norms of its blocks (neck included)."""
    encoder.requires_grad_(False)
    for name in norms(encoder):
        encoder.get_submodule(name).requires_grad_(True)
