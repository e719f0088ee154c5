"""MATLAB v5 files from elsewhere: their structure is checked first, then SciPy decodes them.

SciPy believes what a file says of types and sizes, and a wrong word there ends the process. So every element
of the variables that are wanted is walked here: its type, its length, the number of its values. Compressed
variables are unpacked up to a limit, and SciPy is given what was checked.
Source: "MAT-File Format", MathWorks, the chapter on level 5.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Collection, Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tabench.data.listing import is_file, unreadable
from tabench.errors import DataError

LARGEST = 64 << 20  # bytes, packed and unpacked; the datasets' largest have one
MOST_VALUES = 1 << 24  # of one variable, and entries of structs and cells
DEEPEST = 8  # structs inside structs
MATRIX, COMPRESSED = 14, 15
INT8, UINT8, UINT16, INT32, UINT32, UTF8 = 1, 2, 4, 5, 6, 16
WIDTHS = {1: 1, 2: 1, 3: 2, 4: 2, 5: 4, 6: 4, 7: 4, 9: 8, 12: 8, 13: 8}  # bytes of a value, by its type
TEXTS = {UINT8: 1, UINT16: 2, UTF8: 1}
CELL, STRUCT, CHAR, NUMBERS = 1, 2, 4, range(6, 16)
COMPLEX = 0x800


def read_mat_file(
    path: Path, names: Collection[str], hint: str, most: int = LARGEST
) -> dict[str, npt.NDArray[Any]]:
    """Variables of a v5 file of at most `most` bytes; those that it lacks are left out.

    Raises:
        DataError: Missing, larger, or not a whole v5 file; with `hint`.
    """
    if not is_file(path):
        raise DataError("file not found", where=str(path), hint=hint)
    try:
        if path.stat().st_size > most:
            raise DataError(f"larger than {most} bytes", where=str(path), hint=hint)
        return read_mat(path.read_bytes(), names)
    except OSError as error:
        raise unreadable(error, path) from error
    except ValueError as error:
        raise DataError(f"not a readable MATLAB v5 file: {error}", where=str(path), hint=hint) from error


def read_mat(content: bytes, names: Collection[str]) -> dict[str, npt.NDArray[Any]]:
    """Variables of a v5 file, as SciPy gives them; those that it lacks are left out.

    Raises:
        ValueError: It is no whole v5 file, or a variable is larger or of another kind than the datasets have.
    """
    from scipy.io import loadmat  # on first use: slow to import

    checked = b"".join(_checked(content, names))
    try:
        held = loadmat(io.BytesIO(checked), variable_names=list(names))  # type: ignore[arg-type]  # its stubs
    except MemoryError:
        raise
    except Exception as error:  # SciPy meets odd texts and names with errors of many types
        raise ValueError(f"{type(error).__name__}: {error}") from error
    return {name: np.asarray(held[name]) for name in names if name in held}


def _checked(content: bytes, names: Collection[str]) -> Iterator[bytes]:
    """The file's header and its wanted variables, unpacked."""
    order = {b"\0\1IM": "<", b"\1\0MI": ">"}.get(content[124:128])
    if order is None:
        raise ValueError("no header of a v5 file")
    if len(content) > LARGEST:
        raise ValueError(f"larger than {LARGEST} bytes")
    yield content[:116] + bytes(8) + content[124:128]
    seen: set[str] = set()
    at, room = 128, LARGEST
    while at < len(content):
        walk = _Elements(content, order, at)
        kind, part = walk.element()
        at = walk.at
        if kind == COMPRESSED:
            part = _inflated(part, room)
            room -= len(part)
            kind, part = _Elements(part, order).element()
        if kind != MATRIX:
            raise ValueError(f"an element of type {kind} where a variable is expected")
        name = _Elements(part, order).head()[2]
        if name in names:
            if name in seen:
                raise ValueError(f"variable '{name}' is there twice")
            seen.add(name)
            _Elements(part, order).matrix()
            yield struct.pack(order + "II", MATRIX, len(part)) + part


def _inflated(part: bytes, room: int) -> bytes:
    unpacking = zlib.decompressobj()
    try:
        data = unpacking.decompress(part, room + 1)
    except zlib.error as error:
        raise ValueError(f"damaged: {error}") from error
    if len(data) > room:
        raise ValueError(f"unpacks to more than {LARGEST} bytes")
    if not unpacking.eof:
        raise ValueError("a compressed variable is cut off")
    return data


class _Elements:
    """Reads elements one after the other; raises ValueError where one does not fit."""

    def __init__(self, data: bytes, order: str, at: int = 0) -> None:
        self.data, self.order, self.at = data, order, at

    def element(self) -> tuple[int, bytes]:
        """Type and content of the next element; compressed ones have no padding."""
        if self.at + 8 > len(self.data):
            raise ValueError("cut off inside an element's tag")
        first, size = struct.unpack_from(self.order + "II", self.data, self.at)
        if first >> 16:  # a small element: its type, length and up to four bytes
            kind, size, begin = first & 0xFFFF, first >> 16, self.at + 4
            if size > 4:
                raise ValueError(f"a small element of {size} bytes")
            end = self.at + 8
        else:
            kind, begin = first, self.at + 8
            end = begin + size + (-size % 8 if kind != COMPRESSED else 0)
        if begin + size > len(self.data):
            raise ValueError(f"an element of {size} bytes where {len(self.data) - begin} are left")
        self.at = min(end, len(self.data))
        return kind, self.data[begin : begin + size]

    def numbers(self, kinds: Collection[int]) -> tuple[int, ...]:
        """The next element as integers."""
        kind, part = self.element()
        if kind not in kinds or len(part) % 4:
            raise ValueError(f"an element of type {kind} where sizes are expected")
        return struct.unpack(self.order + f"{len(part) // 4}{'I' if kind == UINT32 else 'i'}", part)

    def head(self) -> tuple[int, tuple[int, ...], str]:
        """Flags, sizes and name of an array."""
        flags = self.numbers((UINT32,))
        sizes = self.numbers((INT32,))
        kind, name = self.element()
        if len(flags) != 2 or not 2 <= len(sizes) <= 8 or min(sizes) < 0 or prod(sizes) > MOST_VALUES:
            raise ValueError(f"an array of sizes {sizes[:9]}")
        if kind not in (INT8, UTF8):
            raise ValueError(f"a name of type {kind}")
        return flags[0], sizes, name.decode("latin1").rstrip("\0")

    def matrix(self, depth: int = 0) -> int:
        """Walk an array to its end; returns the entries of structs and cells in it."""
        if not self.data:
            return 0
        flags, sizes, _ = self.head()
        kind, count = flags & 0xFF, prod(sizes)
        if kind in NUMBERS or kind == CHAR:
            for _ in range(2 if kind != CHAR and flags & COMPLEX else 1):
                self._values(count, text=kind == CHAR)
            return 0
        if kind not in (CELL, STRUCT) or depth >= DEEPEST:
            raise ValueError(f"an array of class {kind} at depth {depth}, which the datasets do not have")
        if kind == STRUCT:
            count *= self._fields()
        for _ in range(count):
            inner, part = self.element()
            if inner != MATRIX:
                raise ValueError(f"an element of type {inner} inside a struct or cell")
            count += _Elements(part, self.order).matrix(depth + 1)
            if count > MOST_VALUES:
                raise ValueError("more entries than the datasets have")
        return count

    def _values(self, count: int, *, text: bool) -> None:
        kind, part = self.element()
        width = (TEXTS if text else WIDTHS).get(kind)
        fits = width is not None and (len(part) >= count if kind == UTF8 else len(part) == width * count)
        if not fits:
            raise ValueError(f"{len(part)} bytes of type {kind} for {count} values")

    def _fields(self) -> int:
        longest = self.numbers((INT32,))
        kind, names = self.element()
        if len(longest) != 1 or not 0 < longest[0] <= 64 or kind != INT8 or len(names) % longest[0]:
            raise ValueError("a struct without sound field names")
        return len(names) // longest[0]
