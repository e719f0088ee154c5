"""A trained mSAM with its updates merged into the encoder's weights, for inference."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tabench.encoders.msam import MSam, known_tasks
from tabench.methods.merging import merged_encoder


class MergedMSam(nn.Module):
    """The outputs of an adapted model in evaluation mode, without its adapters.

    A task-aware model becomes a plain encoder a task, W0 + s * dW[:, :, t]^T in its attention; where all
    tasks share one encoder it stays one. One task then costs what SAM's encoder costs. What cannot be folded
    into weights stays, where it is known what it does for a task (`tabench.methods.merging`). Decoders,
    embeddings and every weight that no update changes are the model's own tensors.

    Args:
        model: The adapted model; it is not changed. Its later changes are not followed.

    Attributes:
        models: One model a plain encoder, each with the tasks that read it.
    """

    def __init__(self, model: MSam) -> None:
        super().__init__()
        self.tasks = tuple(model.channels)
        groups = [(task,) for task in self.tasks] if model.task_aware else [self.tasks]
        self.models = nn.ModuleList(_part(model, index, group) for index, group in enumerate(groups))
        self.eval()

    @torch.no_grad()
    def forward(
        self, images: Tensor, out_size: tuple[int, int], tasks: Sequence[str] | None = None
    ) -> dict[str, Tensor]:
        """Raw channels, as `MSam.forward` gives them in evaluation mode.

        Args:
            images: (B, 3, H, W) in 0..1.
            out_size: (height, width) of the result.
            tasks: The tasks wanted; None for all.

        Raises:
            SpecError: A task that this model does not have.
        """
        names = known_tasks(self.tasks, tasks)
        found: dict[str, Tensor] = {}
        for model in self.models:
            assert isinstance(model, MSam)
            if wanted := [name for name in names if name in model.channels]:
                found |= model(images, out_size, wanted)
        return {name: found[name] for name in names}


def _part(model: MSam, index: int, tasks: Sequence[str]) -> MSam:
    """An mSAM of some of the tasks with the merged encoder of task `index`."""
    with torch.device("meta"):
        part = MSam(model.backbone, {task: model.channels[task] for task in tasks})
    part.image_encoder = merged_encoder(model, index, share=True, keep=True)
    part.pe_layer = model.pe_layer
    part.no_mask = nn.ParameterDict({task: model.no_mask[task] for task in tasks})
    part.decoders = nn.ModuleDict({task: model.decoders[task] for task in tasks})
    part.pixel_mean, part.pixel_std = model.pixel_mean, model.pixel_std
    part.path = model.path
    return part
