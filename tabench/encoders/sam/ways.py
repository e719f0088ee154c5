"""Where the fast path may be taken, and where SAM's own modules are called instead.

Asked at each pass, part by part: what the fast path leaves out or reads the weights of must be as SAM was
built (`as_built`), or an adapted layer that declares what the path relies on (`RowWise`). What it calls as
SAM's own forward does (`norm1`, `norm2` and `mlp` of a block, the neck's second convolution) may be anything.
"""

from __future__ import annotations

from typing import Final

from torch import nn

from tabench.encoders.sam.as_built import built, first_foreign, is_own, is_row_wise, watched
from tabench.encoders.sam.attention import ORDER
from tabench.text import few

_NECK: Final = ("neck", "neck.0", "neck.1", "neck.3")
# mask token 0 is read alone: what follows the other tokens does not change it
_UNREAD: Final = ("output_hypernetworks_mlps.", "iou_prediction_head")
_READ: Final = "output_hypernetworks_mlps.0"
_SHOWN = 4


def encoder_is_own(encoder: nn.Module) -> bool:
    """Whether the encoder's own forward may be left out, so that its parts run one by one."""
    return is_own(encoder, "") and not watched()


def foreign_in_block(encoder: nn.Module, index: int) -> str | None:
    """Name of what keeps the fast path from reading a block; None if nothing does."""
    block = f"blocks.{index}"
    foreign = first_foreign(encoder, (block, f"{block}.attn"))
    if foreign is not None:
        return foreign
    for name in (f"{block}.attn.qkv", f"{block}.attn.proj"):
        if not is_own(encoder, name) and not is_row_wise(encoder.get_submodule(name)):
            return name
    return None


def starts_shared(encoder: nn.Module, index: int) -> bool:
    """Whether all tasks may share the tokens up to the first adapted layer, that of the block `index`."""
    before = ("patch_embed", "patch_embed.proj") if index == 0 else ()
    own = is_own(encoder, *before, f"blocks.{index}.norm1") and foreign_in_block(encoder, index) is None
    return own and is_row_wise(encoder.get_submodule(f"blocks.{index}.attn.qkv"))


def neck_is_own(encoder: nn.Module) -> bool:
    """Whether the neck's first convolution and its norms may be read."""
    return is_own(encoder, *_NECK)


def foreign_in_decoder(decoder: nn.Module) -> str | None:
    """What keeps the fast path from reading a decoder, "" for the decoder itself; None if nothing does."""
    if watched() or not built(decoder):
        return ""
    read = (name for name in built(decoder) if not name.startswith(_UNREAD) or name.startswith(_READ))
    return first_foreign(decoder, read)


def way_of_encoder(encoder: nn.Module) -> str:
    """How `encode` runs an encoder, in words."""
    if not encoder_is_own(encoder):
        return _said([type(encoder).__name__])
    blocks = encoder.get_submodule("blocks")
    found = [foreign_in_block(encoder, index) for index, _ in enumerate(blocks.children())]
    foreign = [*filter(None, found), *([] if neck_is_own(encoder) else ["neck"])]
    return _said(foreign) if foreign else f"{_said([])}, order of sums {ORDER}"


def way_of_decoder(decoder: nn.Module) -> str:
    """How `MSam.read` runs a decoder, in words."""
    found = foreign_in_decoder(decoder)
    return _said([] if found is None else [found or type(decoder).__name__])


def _said(foreign: list[str]) -> str:
    if not foreign:
        return "fast path"
    return f"SAM's own forward (foreign: {few(foreign, _SHOWN)})"
