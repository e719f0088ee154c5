""".npy files from elsewhere, mapped into memory: only the header is read, and nothing in it is believed."""

from __future__ import annotations

from pathlib import Path
from tokenize import TokenError

import numpy as np
import numpy.typing as npt

LONGEST_HEADER = 10_000  # bytes; one of plain values has 100
# what NumPy's header parser and memory map meet damaged and forged headers with
_BROKEN = (ValueError, TypeError, EOFError, SyntaxError, TokenError, OverflowError, FloatingPointError,
           RecursionError, UnicodeError, KeyError, IndexError, AttributeError)  # fmt: skip


def map_npy(path: Path) -> npt.NDArray[np.generic]:
    """Map a .npy file; its values are read when they are used.

    A shape is believed only as far as the file has bytes for it; objects and pickles are refused.

    Raises:
        OSError: It cannot be opened.
        ValueError: It is not a whole .npy file of plain values; says why.
    """
    with path.open("rb") as file:
        begin = file.read(12)
    if begin[:6] != b"\x93NUMPY":
        raise ValueError("no header of a .npy file")
    length = int.from_bytes(begin[8:10] if begin[6:7] == b"\1" else begin[8:12], "little")
    if length > LONGEST_HEADER:  # NumPy would make room for it first
        raise ValueError(f"a header of {length} bytes")
    try:
        with np.errstate(all="raise"):  # a product of sizes that wraps around
            return np.lib.format.open_memmap(path, mode="r")
    except _BROKEN as error:
        raise ValueError(" ".join(str(error).split())[:300] or type(error).__name__) from error
