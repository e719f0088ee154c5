"""segment_anything's ViT as a family of encoders. No torch until one is built: planning reads the sizes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from tabench.encoders.base import Encoder, LayerSpec, MapSpec, Site
from tabench.encoders.sam.geometry import PIXEL_MEAN, PIXEL_STD, Geometry

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    import torch
    from torch import Tensor, nn

MLP_RATIO = 4  # segment_anything's own default, which all its variants have


@dataclass(frozen=True)
class Backbone(Geometry, Encoder):
    """A SAM variant: its sizes are told in `Geometry`, the rest in `Encoder`."""

    pixel_mean: ClassVar[tuple[float, float, float]] = PIXEL_MEAN
    pixel_std: ClassVar[tuple[float, float, float]] = PIXEL_STD
    neck: ClassVar[str] = "neck"
    pixel_norms: ClassVar[tuple[Literal["none", "sam", "encoder"], ...]] = ("none", "sam")

    @property
    def maps(self) -> tuple[MapSpec, ...]:
        """The image embedding behind the neck."""
        return (MapSpec("embedding", self.out_chans, self.patch_size),)

    def build(self) -> nn.Module:
        """See `Encoder.build`."""
        from tabench.encoders.sam.build import build_image_encoder

        return build_image_encoder(self)

    def promptable(self) -> Any:
        """The whole of SAM; its state dict has SAM's own keys."""
        from tabench.encoders.sam.build import build_sam

        return build_sam(self)

    def load(self, path: Path, say: Callable[[str], None] | None = None) -> dict[str, Tensor]:
        """All of SAM's own keys; see `encoders.sam.checkpoint`."""
        from tabench.encoders.sam.checkpoint import load_checkpoint

        return load_checkpoint(self, path, say)

    def forward(
        self,
        encoder: nn.Module,
        inputs: Tensor,
        tasks: Sequence[int] | None = None,
        *,
        recompute: bool = False,
        compiled: bool = False,
    ) -> dict[str, Tensor]:
        """By the fast path, where it holds; see `encoders.sam.encoding`."""
        from tabench.encoders.sam.encoding import encode

        found = encode(encoder, inputs, tasks, recompute=recompute, compiled=compiled)
        return {"embedding": found}

    def way(self, encoder: nn.Module) -> str:
        """How `forward` runs an encoder, in words."""
        from tabench.encoders.sam.ways import way_of_encoder

        return way_of_encoder(encoder)

    def choose_kernels(self, rows: int, device: torch.device, dtype: str) -> dict[str, Any]:
        """For attention, by grids such as "14x14"; see `encoders.sam.attention_choice`."""
        from tabench.encoders.sam.attention_choice import choose

        return choose(self, rows, device, dtype)

    def using_kernels(self, chosen: Mapping[str, Mapping[str, Any]]) -> AbstractContextManager[None]:
        """See `Encoder.using_kernels`."""
        from tabench.encoders.sam.attention_cuda import using

        return using({grid: str(found.get("kernel")) for grid, found in chosen.items()})

    def strangers(self, encoder: nn.Module) -> list[str]:
        """Names of what an encoder has that SAM's does not have, or has otherwise."""
        from tabench.encoders.sam.as_built import strangers

        return list(strangers(encoder))

    def sites(self) -> list[Site]:
        """Before, after and parallel to the attention and the MLP of every block."""
        from tabench.encoders.sam.sites import sites

        return sites(self.depth)

    def insert(self, encoder: nn.Module, site: Site, module: nn.Module) -> None:
        """Put a module at a site; its block then runs by SAM's own forward (`encoders.sam.sites`)."""
        from tabench.encoders.sam.sites import insert

        insert(encoder, site, module)

    def linears(self) -> list[LayerSpec]:
        """The four layers of every block: the fused qkv, proj and the MLP's two."""
        width, wide, heads = self.embed_dim, MLP_RATIO * self.embed_dim, self.num_heads
        found = []
        for block in range(self.depth):
            at = f"blocks.{block}."
            found += [
                LayerSpec(f"{at}attn.qkv", block, "qkv", width, 3 * width, ("q", "k", "v"), heads),
                LayerSpec(f"{at}attn.proj", block, "proj", width, width, ("proj",), heads),
                LayerSpec(f"{at}mlp.lin1", block, "mlp.lin1", width, wide, ("mlp.lin1",), 0),
                LayerSpec(f"{at}mlp.lin2", block, "mlp.lin2", wide, width, ("mlp.lin2",), 0),
            ]
        return found

    def norms(self) -> list[str]:
        """`norm1` and `norm2` of every block."""
        return [f"blocks.{block}.{norm}" for block in range(self.depth) for norm in ("norm1", "norm2")]

    def flops(self) -> float:
        """Forward FLOPs of one image: 24 N d^2 a block, and 4 N M d for M keys."""
        tokens, width = self.grid**2, self.embed_dim
        windowed = min(self.window_size**2, tokens) if self.window_size else tokens
        blocks = 0.0
        for index in range(self.depth):
            keys = tokens if index in self.global_attn_indexes else windowed
            blocks += 24 * tokens * width**2 + 4 * tokens * keys * width
        return blocks

    def facts(self) -> dict[str, Any]:
        """Its sizes, for architecture.json."""
        blocks = {"global_blocks": len(self.global_attn_indexes), "window_size": self.window_size}
        return super().facts() | blocks


_URL = "https://dl.fbaipublicfiles.com/segment_anything/"

VIT_B = Backbone("vit_b", 1024, 16, 768, 12, 12, (2, 5, 8, 11), 14, url=_URL + "sam_vit_b_01ec64.pth")
VIT_L = Backbone("vit_l", 1024, 16, 1024, 24, 16, (5, 11, 17, 23), 14, url=_URL + "sam_vit_l_0b3195.pth")
VIT_H = Backbone("vit_h", 1024, 16, 1280, 32, 16, (7, 15, 23, 31), 14, url=_URL + "sam_vit_h_4b8939.pth")
VIT_NANO = Backbone(
    "sam_vit_nano",
    image_size=96,
    patch_size=8,
    embed_dim=128,
    depth=4,
    num_heads=4,
    global_attn_indexes=(1, 3),
    window_size=6,
    out_chans=64,
    decoder_heads=4,
    decoder_mlp_dim=256,
    iou_hidden_dim=64,
    shipped="weights/sam_vit_nano.safetensors",
)
