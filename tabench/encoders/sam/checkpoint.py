"""SAM's weights on disk: every key, shape and value checked."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from tabench.encoders.reading import read_content
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.layouts import StateDict, find_state, shown
from tabench.errors import CheckpointError

if TYPE_CHECKING:
    from tabench.encoders.sam.geometry import Geometry

_HERE = Path(__file__).parent
_ENCODER = "image_encoder."


@cache
def expected_shapes(backbone: Geometry) -> dict[str, tuple[int, ...]]:
    """Key to shape of a backbone's checkpoint: the manifest of the official ones, else as built."""
    manifest = json.loads((_HERE / "manifest.json").read_text(encoding="utf-8"))
    if backbone.name in manifest:
        return {key: tuple(shape) for key, shape in manifest[backbone.name].items()}
    with torch.device("meta"):  # shapes alone, without the memory of a model
        return {key: tuple(value.shape) for key, value in build_sam(backbone).state_dict().items()}


def load_checkpoint(
    backbone: Geometry, path: Path, say: Callable[[str], None] | None = None
) -> dict[str, Tensor]:
    """Read SAM's state dict, its own keys to CPU tensors, and check every key and shape.

    What others do to it is undone where it is unambiguous, and `say` is told: see `layouts.find_state`.
    `.pth` files are memory-mapped and read with `weights_only=True`, so no code in them runs.

    Raises:
        CheckpointError: The file is truncated, not a weights file, holds code, or is another model's.
    """
    found = _read(backbone, path)
    for note in found.notes:
        if say is not None:
            say(note)
    return _checked(found.values, backbone, path)


def convert(
    backbone: Geometry, path: Path, *, key: str | None = None, base: Path | None = None, drop: bool = False
) -> tuple[dict[str, Tensor], list[str]]:
    """Read a file that `load_checkpoint` refuses, and decide what it cannot.

    `key` is which of several state dicts it means, `base` a whole checkpoint, whose values are taken for keys
    that the file lacks; `drop` leaves out what is no part of SAM.

    Returns:
        All of SAM's own keys, and notes on what was done.

    Raises:
        CheckpointError: As `load_checkpoint`.
    """
    found = _read(backbone, path, key)
    expected = expected_shapes(backbone)
    extra = [name for name in found.values if name not in expected]
    if drop and extra:
        found.notes.append(f"left out {_count(extra)}")
        found.values = {name: value for name, value in found.values.items() if name in expected}
    missing = [name for name in expected if name not in found.values]
    if len(missing) == len(expected):
        raise CheckpointError(
            f"has no key of {backbone.name}, but {_count(extra)}",
            where=str(path),
            hint="rename them as SAM's are: image_encoder.blocks.0.attn.qkv.weight, ...",
        )
    torn = [name for name in missing if name.startswith(_ENCODER)]
    torn = torn if any(name.startswith(_ENCODER) for name in found.values) else []
    if base is not None and torn:  # adapters in another form, or cut off: half of an encoder is nobody's
        raise CheckpointError(
            f"has an image encoder without {_count(torn)}",
            where=str(path),
            hint="a base fills no part of an encoder: merge what was adapted (peft: merge_and_unload) first",
        )
    if base is not None and missing:
        whole = load_checkpoint(backbone, base)
        found.notes.append(f"took {_count(missing)} from {base}")
        found.values |= {name: whole[name] for name in missing}
    return _checked(found.values, backbone, path), found.notes


def _read(backbone: Geometry, path: Path, key: str | None = None) -> StateDict:
    """SAM's state dict in a file, not checked yet."""
    fix = _fix(backbone)
    content = read_content(path, f"weights of {backbone.name}", fix)
    try:
        return find_state(content, expected_shapes(backbone), key)
    except CheckpointError as error:
        raise CheckpointError(error.message, where=str(path), hint=error.hint or fix) from error


def _fix(backbone: Geometry) -> str:
    return f"get it again: {backbone.url}" if backbone.url else "make or reinstall the file"


def _way_out(backbone: Geometry) -> str:
    """What to do about a state dict of SAM with other keys or shapes than a backbone's."""
    return (
        "choose the backbone this file belongs to, fill in or leave out keys with `tabench convert sam FILE "
        f"--backbone {backbone.name} --base WHOLE --drop --out NEW.safetensors`, or {_fix(backbone)}"
    )


def _checked(values: Mapping[str, object], backbone: Geometry, path: Path) -> dict[str, Tensor]:
    expected = expected_shapes(backbone)
    missing = [key for key in expected if key not in values]
    extra = [key for key in values if key not in expected]
    if missing or extra:
        wrong = {"misses": missing, "has unknown": extra}
        parts = "; ".join(f"{verb} {_count(keys)}" for verb, keys in wrong.items() if keys)
        raise CheckpointError(f"is not {backbone.name}: {parts}", where=str(path), hint=_way_out(backbone))
    checked: dict[str, Tensor] = {}
    for key, shape in expected.items():
        value = values[key]
        if not isinstance(value, Tensor) or (problem := no_weights(value)):
            problem = problem if isinstance(value, Tensor) else f"is a {type(value).__name__}"
            raise CheckpointError(f"'{key}' {problem}", where=str(path), hint=_fix(backbone))
        if tuple(value.shape) != shape:
            raise CheckpointError(
                f"is not {backbone.name}: '{key}' has shape {tuple(value.shape)}, expected {shape}",
                where=str(path),
                hint=_way_out(backbone),
            )
        checked[key] = value
    return checked


def no_weights(value: Tensor) -> str:
    """Why a tensor cannot be a weight, whatever its shape; "" if it can."""
    if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized:
        return "is no plain tensor"
    if not value.is_floating_point():
        return f"holds {value.dtype}, expected floating point"
    # The extremes are NaN or infinite where any value is, and need no mask as large as the weights.
    if value.numel() and not torch.stack(torch.aminmax(value.detach().float())).isfinite().all():
        return "holds values that are NaN or infinite"
    return ""


def _count(keys: list[str]) -> str:
    return f"{len(keys)} keys ({shown(keys)})"
