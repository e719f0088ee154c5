"""Variables of MATLAB files: v5 through SciPy, v7.3 through HDF5. Neither runs anything.

Only named variables are read, and their types are checked: a file from elsewhere may hold
anything under any name.
"""

from __future__ import annotations

from math import prod
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from tabench.data.file_kinds import OTHER, V5, V73, kind_of, phrase
from tabench.data.listing import is_file
from tabench.errors import DataError

LARGEST_CHUNK = 64 << 20  # bytes unpacked at once; the real file's have some thousand
# what h5py meets damage with: HDF5's own messages come as any of these
H5_BROKEN = (OSError, RuntimeError, LookupError, ValueError, TypeError, OverflowError, MemoryError)
TYPES = {"u1": "uint8", "u": "unsigned integers", "f": "floating point numbers", "O": "references"}
LARGEST_V5 = 1 << 20  # split and class map have some kilobytes; these files are compressed
AGAIN = "the file is cut off or damaged: download it again and compare its size with the site's"


def whole_numbers(
    array: npt.NDArray[np.generic] | None, name: str, path: Path, hint: str
) -> npt.NDArray[np.int64]:
    """A variable as a flat list of integers.

    Raises:
        DataError: It is not there, or holds something else.
    """
    if array is None:
        raise DataError(f"variable '{name}' is missing", where=str(path), hint=hint)
    if array.dtype.kind not in "uif" or not array.size:
        raise DataError(f"'{name}' holds {array.dtype}, expected numbers", where=str(path), hint=hint)
    values = array.astype(np.float64).ravel()
    if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise DataError(f"'{name}' holds values that are not whole numbers", where=str(path), hint=hint)
    return values.astype(np.int64)


def open_v73(path: Path, hint: str) -> h5py.File:
    """Open a MATLAB v7.3 (HDF5) file for reading.

    Raises:
        DataError: Missing, unreadable, open in a program that writes it, saved in another format, cut off, or
            not HDF5; says which.
    """
    if not is_file(path):
        raise DataError("no such file", where=str(path), hint=hint)
    kind = kind_of(path)
    if kind not in (V73, OTHER):
        again = f"save it in MATLAB with '-v7.3', or take it as it was given out: {hint}"
        message = f"this is {phrase(kind)}, expected {V73}"
        raise DataError(message, where=str(path), hint=again if kind == V5 else hint)
    try:
        return h5py.File(path, "r", locking="best-effort")
    except H5_BROKEN as error:
        if "unable to lock file" in str(error):
            closing = "close it there (MATLAB, a notebook) and give the same command again"
            raise DataError(
                "another program has it open for writing", where=str(path), hint=closing
            ) from error
        raise DataError(
            f"not a whole MATLAB v7.3 file: {error}", where=str(path), hint=f"{AGAIN}; {hint}"
        ) from error


def dataset_of(
    file: h5py.File, name: str, shape: tuple[int | None, ...], kinds: str, path: Path
) -> h5py.Dataset:
    """A variable of a v7.3 file, its axes in the order of the file (the reverse of MATLAB's).

    Args:
        file: The open file.
        name: Variable.
        shape: Expected lengths; None accepts any.
        kinds: How the NumPy type must begin: "f", "u1", "O".
        path: The file's path, for messages.

    Raises:
        DataError: Missing, of another shape or type, or kept outside this file.
    """
    try:
        variable = file.get(name) if isinstance(file.get(name, getlink=True), h5py.HardLink) else None
        held = ", ".join(sorted(key for key in file if not key.startswith("#")))[:200]
        fault = _fault(variable, name, shape, kinds) if isinstance(variable, h5py.Dataset) else ""
    except H5_BROKEN as error:
        raise DataError(f"variable '{name}': {error}", where=str(path), hint=AGAIN) from error
    if not isinstance(variable, h5py.Dataset):
        raise DataError(
            f"variable '{name}' is missing; it holds {held or 'nothing'}",
            where=str(path),
            hint="give nyu_depth_v2_labeled.mat, the labelled set (2.8 GB), not the raw one",
        )
    if fault:
        hint = "the file was saved again: give nyu_depth_v2_labeled.mat as it was downloaded"
        raise DataError(fault, where=str(path), hint=hint)
    return variable


def _fault(variable: h5py.Dataset, name: str, shape: tuple[int | None, ...], kinds: str) -> str:
    """What is wrong with a variable; "" if nothing is."""
    fits = len(shape) == len(variable.shape) and all(
        wanted in (None, length) for wanted, length in zip(shape, variable.shape, strict=True)
    )
    if not fits:
        expected = " x ".join("N" if length is None else str(length) for length in shape)
        found = f"variable '{name}' is {variable.shape} of {variable.dtype}"
        return f"{found}, expected {expected} (in HDF5's order)"
    if not variable.dtype.str[1:].startswith(kinds):
        return f"variable '{name}' holds numbers of type {variable.dtype}, expected {TYPES[kinds]}"
    if variable.external or variable.is_virtual:
        return f"variable '{name}' is kept in another file"
    if variable.chunks is not None and prod(variable.chunks) * variable.dtype.itemsize > LARGEST_CHUNK:
        return f"variable '{name}' is packed in pieces of {variable.chunks}, too large to read one image"
    return ""
