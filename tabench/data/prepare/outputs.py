"""Output files: written whole, skipped when complete, counted by their sha256."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tabench.provenance.files import sha256_file
from tabench.store.atomic import write_bytes

Arrays = Mapping[str, npt.NDArray[np.generic]]
HEADER = 128  # bytes before the values of a .npy file of this size


@dataclass(frozen=True)
class Output:
    """One file of the prepared dataset.

    Attributes:
        name: Path below the root, with slashes.
        size: Bytes.
        sha256: 64 hex digits.
        written: By this call; False if it was complete already.
    """

    name: str
    size: int
    sha256: str
    written: bool


def write_arrays(root: Path, paths: Mapping[str, Path], make: Callable[[], Arrays]) -> list[Output]:
    """Write the arrays of one image that are not there yet.

    A file that exists is complete, for each appears whole or not at all.

    Args:
        root: The dataset's folder.
        paths: Kind to file.
        make: Computes all kinds; not called if nothing is missing.

    Raises:
        StoreError: A file cannot be written or read.
    """
    missing = {kind for kind, path in paths.items() if not path.exists()}
    arrays = make() if missing else {}
    outputs = []
    for kind, path in paths.items():
        if kind in missing:
            buffer = io.BytesIO()
            np.save(buffer, arrays[kind], allow_pickle=False)
            outputs.append(write_file(root, path, buffer.getvalue()))
        else:
            outputs.append(existing_file(root, path))
    return outputs


def write_file(root: Path, path: Path, data: bytes) -> Output:
    """Write one file whole.

    Raises:
        StoreError: It cannot be written.
    """
    write_bytes(path, data)
    return Output(_name(root, path), len(data), hashlib.sha256(data).hexdigest(), written=True)


def existing_file(root: Path, path: Path) -> Output:
    """A file that is there already.

    Raises:
        StoreError: It cannot be read.
    """
    return Output(_name(root, path), path.stat().st_size, sha256_file(path), written=False)


def bytes_missing(paths: Iterable[Mapping[str, Path]], pixels: int, channels: Mapping[str, int]) -> int:
    """Bytes of the float32 arrays that are still to be written."""
    return sum(
        4 * pixels * channels[kind] + HEADER
        for image in paths
        for kind, path in image.items()
        if not path.exists()
    )


def _name(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()
