"""SAM's weights on disk: checking them, reading them without running code."""

from __future__ import annotations

import io
import json
import mmap
import os
import re
import struct
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
from tabench.store.zips import Zip

__all__ = [
    "checkpoint_sha256",
    "expected_shapes",
    "find_checkpoint",
    "load_checkpoint",
    "no_weights",
    "read_state",
]

_HERE = Path(__file__).parent
# what torch's unpickler that runs nothing meets damaged and forged pickles with
_BROKEN = (UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, OSError, TypeError,
           AttributeError, AssertionError, OverflowError, MemoryError, NotImplementedError,
           struct.error)  # fmt: skip
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
    return _checked(read_state(path, f"weights of {backbone.name}", fix), backbone, path, fix)


def read_state(path: Path, what: str, fix: str) -> dict[str, Tensor]:
    """Read a state dict of anybody's; no code in it runs.

    Args:
        path: A `.safetensors` file, or one that `torch.save` wrote.
        what: What it should be, for messages.
        fix: What to do about a file that is not.

    Returns:
        Its keys to CPU tensors; their number, shapes and values are not checked.

    Raises:
        CheckpointError: The file is truncated, not a weights file, or holds more than tensors.
    """
    try:
        state: object = load_file(path) if path.suffix == ".safetensors" else _load_pth(path)
    except (SafetensorError, zipfile.BadZipFile, *_BROKEN) as error:
        raise CheckpointError(_unreadable(error, what), where=str(path), hint=fix) from error
    if not isinstance(state, Mapping) or not all(isinstance(value, Tensor) for value in state.values()):
        raise CheckpointError("holds no plain state dict of tensors", where=str(path), hint=fix)
    return {str(key): value for key, value in state.items()}


def _load_pth(path: Path) -> object:
    with path.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # of an empty file: a ValueError
        with held:
            if held.find(b"bytearray") >= 0:  # which torch allows, and which takes any length
                raise ValueError("it asks for memory beside its tensors")
    mapped = zipfile.is_zipfile(path)  # an interrupted download loses the zip directory at the file's end
    if mapped:
        with Zip(path) as archive:
            if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                raise ValueError("its members are packed, which torch.save never does")
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    with _Bounded(io.FileIO(path)) as file:
        return torch.load(file, map_location="cpu", weights_only=True)


class _Bounded(io.BufferedReader):
    """A file that never makes room for more than it has, whatever a forged length in it asks for."""

    def read(self, size: int | None = -1, /) -> bytes:
        whole = os.fstat(self.fileno()).st_size
        return super().read(whole if size is None or size < 0 else min(size, whole))


def _unreadable(error: Exception, what: str) -> str:
    if isinstance(error, UnpicklingError):  # torch's own advice is to run what the file holds
        if code := _CODE.search(str(error)):
            return f"is refused: beside tensors it holds '{code[1]}', which could run code (none was run)"
        reason = "not a file of tensors"
    else:
        reason = next(iter(str(error).split(". ")), "") or type(error).__name__
    return f"cannot be read as {what}, truncated or another kind of file: {reason}"


def _checked(state: dict[str, Tensor], backbone: Backbone, path: Path, fix: str) -> dict[str, Tensor]:
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
        if problem := no_weights(state[key]):
            raise CheckpointError(f"'{key}' {problem}", where=str(path), hint=fix)
        if tuple(state[key].shape) != shape:
            raise CheckpointError(
                f"is not {backbone.name}: '{key}' has shape {tuple(state[key].shape)}, expected {shape}",
                where=str(path),
                hint=f"choose the backbone this file belongs to, or {fix}",
            )
    return state


def no_weights(value: Tensor) -> str:
    """Why a tensor cannot be a weight, whatever its shape; "" if it can."""
    if value.layout is not torch.strided or value.device.type != "cpu" or value.is_quantized:
        return "is no plain tensor"
    if not value.is_floating_point():
        return f"holds {value.dtype}, expected floating point"
    if value.numel() and not torch.stack(torch.aminmax(value.detach().float())).isfinite().all():
        return "holds values that are NaN or infinite"
    return ""


def _listed(verb: str, keys: list[str]) -> str:
    if not keys:
        return ""
    shown = ", ".join(f"'{key}'" for key in keys[:3])
    return f"{verb} {len(keys)} keys ({shown}{', ...' if len(keys) > 3 else ''})"
