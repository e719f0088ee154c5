"""A small encoder of somebody else: a ViT with q, k and v apart, no windows, batch norm and two maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from tabench.encoders.base import Encoder, LayerSpec, MapSpec, made_by
from tabench.errors import CheckpointError


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.out = (nn.Linear(width, width) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        parts = (layer(x).unflatten(-1, (self.heads, -1)) for layer in (self.q, self.k, self.v))
        q, k, v = (part.transpose(1, 2) for part in parts)
        mixed: Tensor = self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2))
        return mixed


class Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.before, self.attention = nn.LayerNorm(width), Attention(width, heads)
        self.behind, self.wide, self.narrow = nn.LayerNorm(width), nn.Linear(width, 24), nn.Linear(24, width)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.before(x))
        changed: Tensor = self.narrow(F.gelu(self.wide(self.behind(x))))
        return x + changed


class Plain(nn.Module):
    def __init__(self, family: PlainFamily) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, family.embed_dim, family.stride, family.stride)
        self.scaled = nn.BatchNorm2d(family.embed_dim)
        self.places = nn.Parameter(0.1 * torch.randn(1, family.grid**2, family.embed_dim))
        self.layers = nn.ModuleList(Layer(family.embed_dim, family.heads) for _ in range(family.depth))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        x = self.scaled(self.patches(x))
        size = x.shape[-2:]
        tokens = x.flatten(2).mT + self.places
        early = tokens
        for layer in self.layers:
            tokens = layer(tokens)
        maps = {"early": early, "embedding": tokens}
        return {name: value.mT.unflatten(2, size).contiguous() for name, value in maps.items()}


@dataclass(frozen=True)
class PlainFamily(Encoder):
    """Its images are stretched to a square and normalised as its own training had them."""

    name: str = "outside-plain"
    image_size: int = 48
    depth: int = 3
    embed_dim: int = 16
    heads: int = 2
    stride: int = 8
    decoder_heads: int = 2
    decoder_mlp_dim: int = 16
    iou_hidden_dim: int = 8
    shipped: str | None = None
    url: str | None = None
    pixel_mean: ClassVar[tuple[float, float, float]] = (120.0, 110.0, 100.0)
    pixel_std: ClassVar[tuple[float, float, float]] = (60.0, 50.0, 40.0)
    blocks: ClassVar[str] = "layers"
    fit: ClassVar[Literal["pad", "stretch"]] = "stretch"

    @property
    def maps(self) -> tuple[MapSpec, ...]:
        return tuple(MapSpec(name, self.embed_dim, self.stride) for name in ("early", "embedding"))

    def build(self) -> nn.Module:
        return made_by(self, Plain(self))

    def linears(self) -> list[LayerSpec]:
        d, found = self.embed_dim, []
        for block in range(self.depth):
            at = f"layers.{block}"
            for name, role in {"q": "q", "k": "k", "v": "v", "out": "proj"}.items():
                found.append(LayerSpec(f"{at}.attention.{name}", block, role, d, d, (role,), self.heads))
            found.append(LayerSpec(f"{at}.wide", block, "mlp.lin1", d, 24, ("mlp.lin1",), 0))
            found.append(LayerSpec(f"{at}.narrow", block, "mlp.lin2", 24, d, ("mlp.lin2",), 0))
        return found

    def norms(self) -> list[str]:
        return [f"layers.{block}.{name}" for block in range(self.depth) for name in ("before", "behind")]

    def flops(self) -> float:
        tokens, d = self.grid**2, self.embed_dim
        return float(self.depth * (2 * tokens * (4 * d**2 + 2 * 24 * d) + 4 * tokens**2 * d))

    def load(self, path: Path, say: Callable[[str], None] | None = None) -> dict[str, Tensor]:
        state = load_file(path)
        like = self.build().state_dict()
        if {k: v.shape for k, v in state.items()} != {k: v.shape for k, v in like.items()}:
            raise CheckpointError("is not of this encoder", where=str(path))
        return {f"image_encoder.{key}": value for key, value in state.items()}


PLAIN = PlainFamily()
