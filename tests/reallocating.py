"""A method of the tests' own that gives and takes ranks while it trains, by the size of gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from segment_anything.modeling import ImageEncoderViT
from torch import Tensor, nn

from tabench.catalog import METHODS
from tabench.methods.base import Method, Value
from tabench.methods.freezing import train_norms_only
from tabench.registry import Entry

RANK = 4


class Ranked(nn.Module):
    """A layer beside which a low-rank one is trained, its ranks weighed by values and left out by a mask."""

    mask: Tensor

    def __init__(self, base: nn.Linear) -> None:
        super().__init__()
        self.base = base
        self.down = nn.Parameter(0.2 * torch.randn(RANK, base.in_features))
        self.up = nn.Parameter(0.2 * torch.randn(base.out_features, RANK))
        self.values = nn.Parameter(0.1 * torch.randn(RANK))
        self.register_buffer("mask", torch.ones(RANK, dtype=torch.bool))

    def forward(self, x: Tensor) -> Tensor:
        found: Tensor = self.base(x)
        return found + (x @ self.down.T * (self.values * self.mask)) @ self.up.T


class Reallocation:
    """Keeps the ranks whose values have the largest gradients, of all layers together."""

    def __init__(self, layers: list[Ranked], share: float) -> None:
        self.layers, self.share = layers, share
        self.sizes = torch.zeros(len(layers), RANK)
        self.calls: list[tuple[int, int]] = []

    def loss(self, step: int, total: int) -> Tensor | None:
        if step == total - 1:
            return None
        drawn = torch.rand(())  # the same on all processes, and when a step is tried again
        return (0.01 + 0.001 * drawn) * torch.stack(
            [layer.down.square().mean() for layer in self.layers]
        ).sum()

    def after_step(self, step: int, total: int) -> None:
        self.calls.append((step, total))
        found = [layer.values.grad for layer in self.layers]
        assert all(gradient is not None for gradient in found)
        self.sizes = 0.5 * self.sizes + torch.stack(found).float().abs().cpu()  # type: ignore[arg-type]
        kept = int(self.share * self.sizes.numel())
        least = self.sizes.flatten().sort(descending=True).values[kept - 1]
        for layer, sizes in zip(self.layers, self.sizes, strict=True):
            layer.mask.copy_(sizes >= least)

    def state_dict(self) -> Mapping[str, Any]:
        return {"sizes": self.sizes, "calls": [list(call) for call in self.calls]}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if state.keys() != {"sizes", "calls"} or state["sizes"].shape != self.sizes.shape:
            raise ValueError("these are not the sizes of as many ranks")
        self.sizes, self.calls = state["sizes"].clone(), [(step, total) for step, total in state["calls"]]


def adapt(encoder: ImageEncoderViT, num_tasks: int, params: Mapping[str, Value]) -> Reallocation:
    train_norms_only(encoder)
    for block in encoder.blocks:
        block.attn.proj = Ranked(block.attn.proj)
    layers = [block.attn.proj for block in encoder.blocks]
    return Reallocation(layers, float(params["share"]))  # type: ignore[arg-type]


REALLOCATING = Method(
    name="reallocating",
    title="Reallocating",
    parametrisation="reallocating:adapt",
    sharing="shared",
    defaults={"share": 0.5},
    starts_elsewhere=True,
)
METHODS.register(Entry("reallocating", "reallocating:REALLOCATING"))
