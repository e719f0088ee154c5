"""Finding SAM's weights on disk and telling them apart. No torch: planning needs both."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from tabench.errors import CheckpointError
from tabench.provenance.files import sha256_file

if TYPE_CHECKING:
    from tabench.encoders.base import Encoder

FOLDER_VARIABLE = "TABENCH_CHECKPOINTS"
_HERE = Path(__file__).parent
_SUFFIXES = (".safetensors", ".pth")


def find_checkpoint(backbone: Encoder, path: Path | None = None) -> Path:
    """Find a backbone's weights.

    `path` is a weights file, or a folder that holds it under its official name or as `sam_<name>*.pth` or
    `.safetensors`. None looks in the folder that the environment variable TABENCH_CHECKPOINTS names, then
    among the weights shipped with the package.

    Raises:
        CheckpointError: Nothing is there; the message says where to get it and where to put it.
        OSError: Whether it is there cannot be seen.
    """
    if path is not None:
        found = _in_folder(backbone, path) if path.is_dir() else path
        if found is not None and found.is_file():
            return found
        raise _missing(backbone, str(path))
    folder = os.environ.get(FOLDER_VARIABLE)
    if folder and (found := _in_folder(backbone, Path(folder))) is not None:
        return found
    if backbone.shipped and (shipped := _HERE / backbone.shipped).is_file():
        return shipped
    raise _missing(backbone, f"${FOLDER_VARIABLE} ({folder or 'not set'})")


def checkpoint_sha256(path: Path) -> str:
    """The sha256 of a weights file, in hex: its identity in a cell.

    Raises:
        CheckpointError: The file cannot be read.
    """
    try:
        return sha256_file(path)
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror}", where=str(path)) from error


def _in_folder(backbone: Encoder, folder: Path) -> Path | None:
    official = backbone.url.rsplit("/", 1)[-1] if backbone.url else None
    if official and (folder / official).is_file():
        return folder / official
    stem = backbone.name if backbone.name.startswith("sam_") else f"sam_{backbone.name}"
    # not `glob`, for which a folder that may not be read is an empty one
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    found = (n for suffix in _SUFFIXES for n in names if n.startswith(stem) and n.endswith(suffix))
    return next((folder / name for name in found), None)


def _missing(backbone: Encoder, where: str) -> CheckpointError:
    if backbone.url:
        hint = f"download {backbone.url} into a folder and set {FOLDER_VARIABLE} to it"
    else:
        hint = f"reinstall the package, or set {FOLDER_VARIABLE} to a folder that holds the file"
    return CheckpointError(f"no weights of {backbone.name} found", where=where, hint=hint)
