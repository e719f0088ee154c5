"""State dicts of SAM as others save them: wrapped, prefixed, under the hub's names, with another head."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from tabench.errors import CheckpointError
from tabench.text import few

DEPTH = 3  # mappings inside one another that are looked through
SHOWN = 5  # names in a message
TOP = "."  # the name of a state dict that lies in nothing else
# by these a state dict is found, whatever is around it
_OWN = "image_encoder.patch_embed.proj.weight"
_HUB = "vision_encoder.patch_embed.projection.weight"
_MLP = r"\.(iou_prediction_head|output_hypernetworks_mlps\.\d+)\.layers"
# what SAM calls a part, and what the hub's models (transformers' SamModel) call it; applied in this order
_HUB_NAMES: tuple[tuple[str, str | Callable[[re.Match[str]], str]], ...] = (
    (r"^image_encoder\.blocks\.", "vision_encoder.layers."),
    (r"^image_encoder\.", "vision_encoder."),
    (r"\.patch_embed\.proj\.", ".patch_embed.projection."),
    (r"\.neck\.([02])\.", lambda found: f".neck.conv{1 + int(found[1]) // 2}."),
    (r"\.neck\.([13])\.", lambda found: f".neck.layer_norm{1 + int(found[1]) // 2}."),
    (r"\.norm(\d|_final_attn)\.", r".layer_norm\1."),
    (r"\.point_embeddings\.", ".point_embed."),
    (r"\.mask_downscaling\.([036])\.", lambda found: f".mask_embed.conv{1 + int(found[1]) // 3}."),
    (r"\.mask_downscaling\.([14])\.", lambda found: f".mask_embed.layer_norm{1 + int(found[1]) // 3}."),
    (r"\.pe_layer\.positional_encoding_gaussian_matrix$", ".shared_embedding.positional_embedding"),
    (r"\.output_upscaling\.0\.", ".upscale_conv1."),
    (r"\.output_upscaling\.1\.", ".upscale_layer_norm."),
    (r"\.output_upscaling\.3\.", ".upscale_conv2."),
    (rf"{_MLP}\.0\.", r".\1.proj_in."),
    (rf"{_MLP}\.1\.", r".\1.layers.0."),
    (rf"{_MLP}\.2\.", r".\1.proj_out."),
)
# the hub's models have the prompt encoder's frequencies twice, and a file one of them or both
_FREQUENCIES = (
    "prompt_encoder.shared_embedding.positional_embedding",
    "shared_image_embedding.positional_embedding",
)
# what SAM-HQ adds to SAM, whose own weights it leaves as they are
_HQ = re.compile(
    r"mask_decoder\.(hf_token|hf_mlp|compress_vit_feat|embedding_encoder|embedding_maskfeature)\."
)


@dataclass
class StateDict:
    """A state dict under SAM's own keys, as far as it has them, and notes on what was done to it."""

    values: dict[str, object]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Place:
    """A mapping inside a file, and what its keys have before SAM's own."""

    name: str
    mapping: Mapping[Any, object]
    prefix: str


def find_state(content: object, keys: Iterable[str], name: str | None = None) -> StateDict:
    """Find SAM's state dict in what a file holds; `keys` are all of SAM's own.

    `name` is which one, where there are several, as the error names them.

    Raises:
        CheckpointError: There is none, or there are several, or none of this name.
    """
    places = list(_places(content, "", set()))
    if name is not None and not any(place.name == name for place in places):
        hint = f"it has: {shown(place.name for place in places) or 'none'}"
        raise CheckpointError(f"holds no weights of SAM under '{name}'", hint=hint)
    places = [place for place in places if name is None or place.name == name]
    if len(places) > 1:
        raise CheckpointError(
            f"holds weights of SAM {len(places)} times: {shown(place.name for place in places)}",
            hint="choose one: tabench convert sam FILE --key NAME --out NEW.safetensors",
        )
    if places:
        found = _taken(places[0])
    elif isinstance(content, Mapping) and any(isinstance(value, Tensor) for value in content.values()):
        found = StateDict({str(key): value for key, value in content.items()})  # its faults are told by key
    else:
        held = f"{len(content)} values: {shown(map(str, content))}" if isinstance(content, Mapping) else ""
        raise CheckpointError(f"holds no state dict of SAM, but {held or f'a {type(content).__name__}'}")
    _from_hub(found, keys)
    _without_hq(found)
    return found


def hub_name(key: str) -> str:
    """The hub's name of one of SAM's own keys."""
    for pattern, name in _HUB_NAMES:
        key = re.sub(pattern, name, key)
    return key


def shown(names: Iterable[str]) -> str:
    """Some of many names, in quotes."""
    return few((f"'{name}'" for name in names), SHOWN)


def _places(content: object, above: str, seen: set[int], depth: int = DEPTH) -> Iterator[_Place]:
    """Every place of a state dict of SAM; each mapping is looked at once, though it may hold itself."""
    if not isinstance(content, Mapping) or id(content) in seen:
        return
    seen.add(id(content))
    for key in content:
        anchor = next((end for end in (_OWN, _HUB) if f".{key}".endswith(f".{end}")), None)
        if anchor is not None:
            prefix = str(key).removesuffix(anchor)
            yield _Place(f"{above}{prefix}".removesuffix(".") or TOP, content, prefix)
    for key, value in content.items() if depth else ():
        yield from _places(value, f"{above}{key}.", seen, depth - 1)


def _taken(place: _Place) -> StateDict:
    """The state dict of a place; keys without its prefix are kept as they are, to be told."""
    values = {str(key).removeprefix(place.prefix): value for key, value in place.mapping.items()}
    if len(values) < len(place.mapping):
        raise CheckpointError(f"holds keys twice, with and without '{place.prefix}'")
    return StateDict(values, [] if place.name == TOP else [f"taken from '{place.name}'"])


def _from_hub(found: StateDict, keys: Iterable[str]) -> None:
    """Give the values under the hub's names SAM's own."""
    if _HUB not in found.values:
        return
    first, second = (found.values.get(name) for name in _FREQUENCIES)
    if isinstance(first, Tensor) and isinstance(second, Tensor) and not torch.equal(first, second):
        raise CheckpointError(f"'{_FREQUENCIES[0]}' and '{_FREQUENCIES[1]}' differ, and should be one")
    if second is not None:
        found.values[_FREQUENCIES[0]] = found.values.pop(_FREQUENCIES[1])
    # Translated from SAM's names to the hub's, which is unambiguous; the way back is not.
    own = {hub_name(key): key for key in keys}
    values = {own.get(key, key): value for key, value in found.values.items()}
    if len(values) < len(found.values):
        raise CheckpointError("holds parts of SAM twice, under its own names and under the hub's")
    found.values = values
    found.notes.append("translated from the hub's names")


def _without_hq(found: StateDict) -> None:
    """Leave out SAM-HQ's own head."""
    head = [key for key in found.values if _HQ.match(key)]
    for key in head:
        del found.values[key]
    if head:
        found.notes.append(f"without SAM-HQ's head ({len(head)} keys); its SAM is used as it is")
