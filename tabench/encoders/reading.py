"""Files of tensors that anybody may have written: told apart, bounded, and read without running code."""

from __future__ import annotations

import io
import mmap
import os
import re
import struct
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from tabench.errors import CheckpointError
from tabench.store.zips import Zip

# what torch's unpickler that runs nothing meets damaged and forged pickles with
_BROKEN = (UnpicklingError, RuntimeError, EOFError, ValueError, LookupError, OSError, TypeError,
           AttributeError, AssertionError, OverflowError, MemoryError, NotImplementedError,
           struct.error)  # fmt: skip
_CODE = re.compile(r"GLOBAL (\S+)")  # in torch's words: what a pickle would import
_PLAIN = "where you trust it, load it there and save its state dict alone, as safetensors or with torch.save"


def read_content(path: Path, what: str, fix: str) -> object:
    """Read what a file holds, whatever its name ends in; no code in it runs.

    `what` it should be, and how to `fix` a file that is not, are for messages.

    Returns:
        Tensors on the CPU, in the mappings and lists of the file.

    Raises:
        CheckpointError: The file cannot be read, is truncated, of another kind, or holds code.
    """
    try:
        head = _head(path)
        if head.startswith(b"version https://git-lfs"):
            hint = f"fetch the file itself (git lfs pull), or {fix}"
            raise CheckpointError("is a pointer of Git LFS, not the file", where=str(path), hint=hint)
        # By its first bytes: a .pth may hold safetensors, whose header begins with a brace behind its length.
        named = path.suffix == ".safetensors" and not head.startswith(b"PK")
        return load_file(path) if named or head[8:9] == b"{" else _load_pth(path)
    except (SafetensorError, zipfile.BadZipFile, *_BROKEN) as error:
        hint = _PLAIN if _code(error) else fix
        raise CheckpointError(_unreadable(error, what), where=str(path), hint=hint) from error


def read_state(path: Path, what: str, fix: str) -> dict[str, Tensor]:
    """Read a state dict of anybody's, keys to CPU tensors; their number, shapes and values are not checked.

    Raises:
        CheckpointError: As `read_content`, or the file holds more than tensors.
    """
    content = read_content(path, what, fix)
    if not isinstance(content, Mapping) or not all(isinstance(value, Tensor) for value in content.values()):
        raise CheckpointError("holds no plain state dict of tensors", where=str(path), hint=fix)
    return {str(key): value for key, value in content.items()}


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _load_pth(path: Path) -> object:
    with path.open("rb") as file:
        held = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # of an empty file: a ValueError
        with held:
            if held.find(b"bytearray") >= 0:  # which torch allows, and which takes any length
                raise ValueError("it asks for memory beside its tensors")
    mapped = zipfile.is_zipfile(path)  # an interrupted download loses the zip directory at the file's end
    if mapped:
        with Zip(path) as archive:
            # Packed members could unfold to any size; torch maps or reads them as they are.
            if any(info.compress_type != zipfile.ZIP_STORED for info in archive.infolist()):
                raise ValueError("its members are packed, which torch.save never does")
        if path.suffix != ".safetensors":  # which torch would take for one, by its name
            return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    # The format before zip files is a stream of pickles with lengths of their own.
    with _Bounded(io.FileIO(path)) as file:
        return torch.load(file, map_location="cpu", weights_only=True)


class _Bounded(io.BufferedReader):
    """A file that never makes room for more than it has, whatever a forged length in it asks for."""

    def read(self, size: int | None = -1, /) -> bytes:
        whole = os.fstat(self.fileno()).st_size
        return super().read(whole if size is None or size < 0 else min(size, whole))


def _code(error: Exception) -> str:
    """What a pickle would have imported; "" if that was not the trouble."""
    found = _CODE.search(str(error)) if isinstance(error, UnpicklingError) else None
    return found[1] if found else ""


def _unreadable(error: Exception, what: str) -> str:
    if code := _code(error):
        return f"is refused: beside tensors it holds '{code}', which could run code (none was run)"
    if isinstance(error, UnpicklingError):  # torch's own advice is to run what the file holds
        reason = "not a file of tensors"
    else:
        reason = next(iter(str(error).split(". ")), "") or type(error).__name__
    return f"cannot be read as {what}, truncated or another kind of file: {reason}"
