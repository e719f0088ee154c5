"""SAM's weights on disk: checking them, reading them without running code."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tabench.errors import CheckpointError
from tabench.sam.build import build_sam
from tabench.sam.geometry import Backbone
from tabench.sam.locate import checkpoint_sha256, find_checkpoint

__all__ = ["checkpoint_sha256", "expected_shapes", "find_checkpoint", "load_checkpoint"]

_HERE = Path(__file__).parent
_CODE = re.compile(r"GLOBAL (\S+)")  # in torch's words: what a pickle would import


@cache
def expected_shapes(backbone: Backbone) -> dict[str, tuple[int, ...]]:
    """Key to shape of a backbone's checkpoint: the manifest of the official ones, else as built."""
    manifest = json.loads((_HERE / "manifest.json").read_text(encoding="utf-8"))
    if backbone.name in manifest:
        return {key: tuple(shape) for key, shape in manifest[backbone.name].items()}
    with torch.device("meta"):
        return {key: tuple(value.shape) for key, value in build_sam(backbone).state_dict().items()}


def load_checkpoint(backbone: Backbone, path: Path) -> dict[str, Tensor]:
    """Read SAM's state dict and check every key and shape.

    `.pth` files are memory-mapped and read with `weights_only=True`, so no code in them runs.

    Returns:
        SAM's own keys to CPU tensors.

    Raises:
        CheckpointError: The file is truncated, not a weights file, holds code, or is another model's.
    """
    fix = f"get it again: {backbone.url}" if backbone.url else "make or reinstall the file"
    try:
        if path.suffix == ".safetensors":
            state: object = load_file(path)
        else:
            # an interrupted download loses the zip directory at the file's end
            mapped = zipfile.is_zipfile(path)
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=mapped or None)
    except (SafetensorError, UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise CheckpointError(_unreadable(error, backbone), where=str(path), hint=fix) from error
    return _checked(state, backbone, path, fix)


def _unreadable(error: Exception, backbone: Backbone) -> str:
    if isinstance(error, UnpicklingError):  # torch's own advice is to run what the file holds
        if code := _CODE.search(str(error)):
            return f"is refused: beside tensors it holds '{code[1]}', which could run code (none was run)"
        reason = "not a file of tensors"
    else:
        reason = next(iter(str(error).split(". ")), "") or type(error).__name__
    return f"cannot be read as weights of {backbone.name}, truncated or another kind of file: {reason}"


def _checked(state: object, backbone: Backbone, path: Path, fix: str) -> dict[str, Tensor]:
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError("holds no plain state dict of tensors", where=str(path), hint=fix)
    expected = expected_shapes(backbone)
    missing = [key for key in expected if key not in state]
    extra = [key for key in state if key not in expected]
    if missing or extra:
        parts = [_listed("misses", missing), _listed("has unknown", extra)]
        raise CheckpointError(
            f"is not {backbone.name}: {'; '.join(part for part in parts if part)}",
            where=str(path),
            hint=f"choose the backbone this file belongs to, or {fix}",
        )
    for key, shape in expected.items():
        if tuple(state[key].shape) != shape:
            raise CheckpointError(
                f"is not {backbone.name}: '{key}' has shape {tuple(state[key].shape)}, expected {shape}",
                where=str(path),
                hint=f"choose the backbone this file belongs to, or {fix}",
            )
    return dict(state)


def _listed(verb: str, keys: list[str]) -> str:
    if not keys:
        return ""
    shown = ", ".join(f"'{key}'" for key in keys[:3])
    return f"{verb} {len(keys)} keys ({shown}{', ...' if len(keys) > 3 else ''})"
