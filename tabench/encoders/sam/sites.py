"""Modules inserted into SAM's blocks, around attention and MLP, on whole maps and never on windows."""

from __future__ import annotations

from segment_anything.modeling.image_encoder import Block, window_partition, window_unpartition
from torch import Tensor, nn

from tabench.encoders.base import Site

_WHERE = ("before", "after", "parallel")
_OF = ("attention", "mlp")


class SitedBlock(nn.Module):
    """SAM's block with places for more modules; its own parts keep their names and are the same objects.

    `inserted` has "before_mlp", "parallel_attention" and so on to the modules there, in turn.
    """

    def __init__(self, block: Block) -> None:
        super().__init__()
        self.norm1, self.attn, self.norm2, self.mlp = block.norm1, block.attn, block.norm2, block.mlp
        self.window_size: int = block.window_size
        self.inserted = nn.ModuleDict({f"{where}_{of}": nn.ModuleList() for where in _WHERE for of in _OF})

    def forward(self, x: Tensor) -> Tensor:
        """SAM's own forward (B, H, W, C), with what is inserted."""
        x = x + self._part("attention", self.norm1(x))
        return x + self._part("mlp", self.norm2(x))

    def _part(self, of: str, x: Tensor) -> Tensor:
        # Parallel modules read the part's input as SAM made it, whatever stands before the part.
        beside = [module(x) for module in self._at("parallel", of)]
        for module in self._at("before", of):
            x = module(x)
        x = self._attention(x) if of == "attention" else self.mlp(x)
        for module in self._at("after", of):
            x = module(x)
        for change in beside:
            x = x + change
        return x

    def _at(self, where: str, of: str) -> nn.ModuleList:
        found = self.inserted[f"{where}_{of}"]
        assert isinstance(found, nn.ModuleList)
        return found

    def _attention(self, x: Tensor) -> Tensor:
        if not self.window_size:
            whole: Tensor = self.attn(x)
            return whole
        size = (x.shape[1], x.shape[2])
        windows, padded = window_partition(x, self.window_size)
        joined: Tensor = window_unpartition(self.attn(windows), self.window_size, padded, size)
        return joined


def sites(depth: int) -> list[Site]:
    """All places in an encoder of so many blocks."""
    whats = [(where, of) for of in ("attention", "mlp") for where in ("before", "after", "parallel")]
    return [Site(block, where, of) for block in range(depth) for where, of in whats]  # type: ignore[arg-type]


def insert(encoder: nn.Module, site: Site, module: nn.Module) -> None:
    """Put a module at a site, behind those that are there."""
    blocks = encoder.get_submodule("blocks")
    block = blocks.get_submodule(str(site.block))
    if not isinstance(block, SitedBlock):
        block = SitedBlock(block)
        blocks.register_module(str(site.block), block)
    block._at(site.where, site.of).append(module)
