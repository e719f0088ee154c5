"""What an encoder says of itself, so that nobody else need know its insides. No torch here."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from types import FunctionType
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal, cast

from tabench.errors import SpecError

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import Tensor, nn


SMALL_IMAGE = 256  # side of an input that counts as small


# Roles of linear layers. q, k and v also name the parts of a layer that makes all three.
ROLES: Final = ("qkv", "q", "k", "v", "proj", "mlp.lin1", "mlp.lin2")


@dataclass(frozen=True)
class LayerSpec:
    """A linear layer of an encoder.

    Attributes:
        name: Dotted, inside the encoder ("blocks.0.attn.qkv").
        role: One of `ROLES`.
        parts: The roles whose outputs lie side by side in it, in blocks of equal size: ("q", "k", "v") of a
            fused qkv, else (role,).
        heads: Attention heads that it serves; 0 in an MLP.
    """

    name: str
    block: int
    role: str
    inputs: int
    outputs: int
    parts: tuple[str, ...]
    heads: int


@dataclass(frozen=True)
class MapSpec:
    """A map that an encoder returns for each task; decoders read "embedding". `stride` is in pixels."""

    name: str
    channels: int
    stride: int


@dataclass(frozen=True)
class Site:
    """A place where a module may be inserted into an encoder.

    The module gets, and returns, task-major maps (T*B, H, W, C), never windows of them.

    Attributes:
        block: Index of the block.
        where: "before" and "after" change what goes into a part of the block and what comes out of it;
            "parallel" adds to the output what the module makes of the part's input.
        of: The part: "attention" or "mlp".
    """

    block: int
    where: Literal["before", "after", "parallel"]
    of: Literal["attention", "mlp"]


class Encoder(ABC):
    """An entry of the registry of backbones: it builds an encoder and knows its insides.

    What is not SAM's states its own; nobody else asks for windows, positions or names of modules.

    Attributes:
        name: Registry name.
        image_size: Side of the square input, pixels.
        depth: Number of blocks.
        embed_dim: Width of the blocks.
        pixel_mean: Of R, G and B in 0..255, subtracted where a cell's `pixel_norm` is not "none".
        pixel_std: Of R, G and B in 0..255, by which they are then divided.
        pixel_norms: The values of `pixel_norm` that make sense for it.
        fit: "pad" resizes the long side to the input's and pads right and below, as SAM does; "stretch"
            resizes both sides.
        decoder_heads: Attention heads of the mask decoders that read its embedding.
        decoder_mlp_dim: Width of these decoders' MLPs.
        iou_hidden_dim: Width of their IoU heads, which nothing reads.
        blocks: Name of the module that holds the blocks.
        neck: Name of the module behind them that makes the embedding; "" where there is none.
        extra_tokens: Whether tokens beside those of the map may be added (prompts).
        shipped: File that holds its weights, if one comes with the package that registers it.
        url: Where its weights are kept, for messages.
    """

    name: str
    image_size: int
    depth: int
    embed_dim: int
    pixel_mean: ClassVar[tuple[float, float, float]] = (0.0, 0.0, 0.0)
    pixel_std: ClassVar[tuple[float, float, float]] = (255.0, 255.0, 255.0)
    pixel_norms: ClassVar[tuple[Literal["none", "sam", "encoder"], ...]] = ("encoder",)
    fit: ClassVar[Literal["pad", "stretch"]] = "pad"
    decoder_heads: int = 8
    decoder_mlp_dim: int = 2048
    iou_hidden_dim: int = 256
    blocks: ClassVar[str] = "blocks"
    neck: ClassVar[str] = ""
    extra_tokens: ClassVar[bool] = False
    shipped: str | None = None
    url: str | None = None

    @property
    @abstractmethod
    def maps(self) -> tuple[MapSpec, ...]:
        """The maps that it returns, "embedding" among them."""

    @abstractmethod
    def build(self) -> nn.Module:
        """A new encoder of random weights, (B, 3, S, S) to its embedding; marked by `made_by`."""

    @abstractmethod
    def linears(self) -> list[LayerSpec]:
        """The linear layers of its blocks, in order; the same before and after they are adapted."""

    @abstractmethod
    def norms(self) -> list[str]:
        """Names of its blocks' norms, in order."""

    @abstractmethod
    def flops(self) -> float:
        """Forward FLOPs of one image, roughly: they tell minutes from days."""

    @abstractmethod
    def load(self, path: Path, say: Callable[[str], None] | None = None) -> dict[str, Tensor]:
        """Read and check weights.

        Returns:
            "image_encoder." and the encoder's own keys; where the file has a mask decoder of SAM's, its keys,
            "prompt_encoder.pe_layer." and "prompt_encoder.no_mask_embed.weight" too, else the tasks' decoders
            start at random.

        Raises:
            CheckpointError: The file is another model's, damaged, or holds code.
        """

    @property
    def small(self) -> bool:
        """Whether a whole batch fits anywhere, and cells can share a machine."""
        return self.image_size <= SMALL_IMAGE

    @property
    def out_chans(self) -> int:
        """Channels of the embedding."""
        return self.embedding.channels

    @property
    def grid(self) -> int:
        """Side of the embedding."""
        return self.image_size // self.embedding.stride

    @property
    def embedding(self) -> MapSpec:
        """The map that decoders read."""
        return next(found for found in self.maps if found.name == "embedding")

    def forward(
        self,
        encoder: nn.Module,
        inputs: Tensor,
        tasks: Sequence[int] | None = None,
        *,
        recompute: bool = False,
        compiled: bool = False,
    ) -> dict[str, Tensor]:
        """All maps of all tasks, (T*B, C, h, w) each, task-major, of inputs (B, 3, S, S).

        Here by the encoder's own forward over the folded batch; a family may have a faster way that is proven
        equal and taken only where it holds.

        Args:
            encoder: What `build` made, adapted or not.
            inputs: As `MSam.prepare` gives them.
            tasks: Indices of the tasks wanted, for an encoder that tells tasks apart; None: one for all.
            recompute: Keep only the input for the backward pass and compute the rest again.
            compiled: Through torch.compile, where the family has a way to.
        """
        from tabench.encoders.folding import folded

        return self.named(folded(encoder, inputs, tasks, recompute=recompute))

    def named(self, found: Tensor | Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What an encoder's own forward returns, by the names of `maps`."""
        return dict(found) if isinstance(found, Mapping) else {"embedding": found}

    def promptable(self) -> Any:
        """A new SAM with this image encoder, prompt encoder and all; None of encoders other than SAM's."""
        return None

    def way(self, encoder: nn.Module) -> str:
        """How `forward` runs an encoder, in words."""
        return "the encoder's own forward"

    def choose_kernels(self, rows: int, device: torch.device, dtype: str) -> dict[str, Any]:
        """Measure which of several equal kernels `forward` should take on a device.

        Args:
            rows: Of a pass, images times tasks.
            device: Where.
            dtype: Type that products are taken in, such as "bfloat16".

        Returns:
            A JSON object for each part of the encoder that has a choice, as `using_kernels` takes them.
        """
        return {}

    def using_kernels(self, chosen: Mapping[str, Mapping[str, Any]]) -> AbstractContextManager[None]:
        """Take what `choose_kernels` found inside the block. Raises ValueError: there is no such kernel."""
        return nullcontext()

    def strangers(self, encoder: nn.Module) -> list[str]:
        """Names of what an encoder has that `build` did not give it, or has otherwise."""
        # By exact type: a subclass may compute something else.
        with_like = {name: type(module) for name, module in self.build().named_modules()}
        here = {name: type(module) for name, module in encoder.named_modules()}
        return sorted(name for name in with_like | here if with_like.get(name) != here.get(name))

    def sites(self) -> list[Site]:
        """Where modules may be inserted; nowhere, unless a family says so."""
        return []

    def insert(self, encoder: nn.Module, site: Site, module: nn.Module) -> None:
        """Put a module at a site.

        Raises:
            SpecError: The encoder has no such site.
        """
        place = f"{site.where} the {site.of} of block {site.block}"
        raise SpecError(f"encoder '{self.name}': no module can be inserted {place}")

    def facts(self) -> dict[str, Any]:
        """Its sizes, for architecture.json."""
        return {
            "name": self.name,
            "image_size": self.image_size,
            "patch_size": self.embedding.stride,
            "grid": self.grid,
            "depth": self.depth,
            "embed_dim": self.embed_dim,
            "global_blocks": self.depth,
            "window_size": 0,
            "out_chans": self.out_chans,
        }


def made_by(family: Encoder, encoder: nn.Module) -> nn.Module:
    """Let an encoder know what built it."""
    encoder.family = family  # type: ignore[assignment]
    return encoder


def family_of(encoder: nn.Module) -> Encoder:
    """The registered encoder that built a module.

    Raises:
        SpecError: None did.
    """
    found: Encoder | None = vars(encoder).get("family")
    if found is None:
        raise SpecError(
            f"'{type(encoder).__name__}' was built by no registered backbone",
            hint="build it with `build()` of an entry of tabench.catalog.BACKBONES",
        )
    return found


def linears(encoder: nn.Module) -> list[LayerSpec]:
    """The linear layers of an encoder's blocks, in order; the same before and after they are adapted."""
    return family_of(encoder).linears()


def norms(encoder: nn.Module) -> list[str]:
    """Names, inside an encoder, of its blocks' norms, in order."""
    return family_of(encoder).norms()


def declares(module: nn.Module, what: str) -> bool:
    """Whether a module's own class has something, and no hooks change what the module does.

    What a subclass has from its base is not enough: it may compute something else, and has to say it again.
    """
    return what in vars(type(module)) and not any(map(touched, module.modules()))


def touched(module: nn.Module) -> bool:
    """Whether a module has hooks, or methods that its type does not have."""
    return bool(
        module._forward_hooks
        or module._forward_pre_hooks
        or module._backward_hooks
        or module._backward_pre_hooks
        or not vars(module).keys().isdisjoint(_methods(cast(Any, type(module))))
    )


@cache  # this is asked of every module at every forward pass
def _methods(kind: Any) -> frozenset[str]:
    """Names of all methods that modules of a type have."""
    return frozenset(
        name for base in kind.__mro__ for name, value in vars(base).items() if isinstance(value, FunctionType)
    )


class TaskFold:
    """Which tasks the folded batch holds, shared by all that a method put into one encoder.

    A method whose encoder tells T tasks apart leaves it there as `encoder.task_fold`. All are selected at
    first.

    Args:
        num_tasks: T.
        first_block: The block from which on tasks differ. What comes before it is computed once for all.
        free_stream: Whether rows of no task (index `FREE`, the first of `tasks`) run along.
    """

    FREE = -1

    def __init__(self, num_tasks: int, *, first_block: int = 0, free_stream: bool = False) -> None:
        self.first_block, self.free_stream = first_block, free_stream
        self.tasks = self.rows(range(num_tasks))

    @contextmanager
    def select(self, tasks: Sequence[int]) -> Iterator[None]:
        """Announce the tasks, outermost in the batch, of the forward passes inside the context."""
        before, self.tasks = self.tasks, self.rows(tasks)
        try:
            yield
        finally:
            self.tasks = before

    def rows(self, tasks: Sequence[int]) -> tuple[int, ...]:
        """What the rows of a batch of these tasks are for, outermost first; those of no task are dropped."""
        return (self.FREE, *tasks) if self.free_stream else tuple(tasks)
