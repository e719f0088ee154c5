"""LoRA on the encoder: the parametrisation of LoRA-STL and LoRA-HPS."""

from __future__ import annotations

from collections.abc import Mapping

from segment_anything.modeling import ImageEncoderViT

from tabench.methods.base import Value
from tabench.methods.factors import LoRAFactors
from tabench.methods.freezing import train_norms_only
from tabench.methods.injection import TaskFold, inject, positive


def adapt(encoder: ImageEncoderViT, num_tasks: int, params: Mapping[str, Value]) -> None:
    """Give every block one LoRA, whatever the number of tasks; train it and the block norms."""
    rank = positive(params["rank"], "rank")
    train_norms_only(encoder)
    inject(encoder, TaskFold(1), params, lambda d, k: LoRAFactors(d, k, rank))
