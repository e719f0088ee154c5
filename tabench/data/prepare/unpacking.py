"""bzip2 and xz streams from elsewhere, unpacked within bounded memory.

Python's own file objects for xz have no limit on the memory that a stream's header may ask for.
"""

from __future__ import annotations

import bz2
import io
import lzma
from collections.abc import Callable
from typing import BinaryIO

MEMORY = 128 << 20  # bytes; `xz -9` makes streams that need 65 million
PIECE = 1 << 18
BUFFER = 1 << 20  # tar steps back a little; further back all is unpacked again

Unpacking = bz2.BZ2Decompressor | lzma.LZMADecompressor


class _Stream(io.RawIOBase):
    """The unpacked content of a file that may hold several streams, one after the other."""

    def __init__(self, file: BinaryIO, fresh: Callable[[], Unpacking]) -> None:
        self.file, self.fresh = file, fresh
        self._begin()

    def _begin(self) -> None:
        self.file.seek(0)
        self.unpacking, self.at, self.ahead = self.fresh(), 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.at

    def seek(self, position: int, whence: int = io.SEEK_SET) -> int:
        if whence != io.SEEK_SET:
            raise io.UnsupportedOperation("only from the beginning")
        if position < self.at:
            self._begin()
        while self.at < position and self._unpack(min(PIECE, position - self.at)):
            pass
        return self.at

    def readinto(self, target: object) -> int:
        view = memoryview(target)  # type: ignore[arg-type]  # what BufferedReader gives
        data = self._unpack(len(view))
        view[: len(data)] = data
        return len(data)

    def _unpack(self, most: int) -> bytes:
        """At most so many bytes; none at the end."""
        data = b""
        while not data and (not self.unpacking.eof or self._next()):
            if self.unpacking.needs_input and not self.ahead:
                self.ahead = self.file.read(PIECE)
                if not self.ahead:
                    raise EOFError("it ends inside a stream")
            data = self.unpacking.decompress(self.ahead, most)
            self.ahead = b""
        self.at += len(data)
        return data

    def _next(self) -> bool:
        """Begin the stream behind this one and the zeros that xz pads with; False if there is none."""
        ahead = self.unpacking.unused_data.lstrip(b"\0")
        while not ahead:
            piece = self.file.read(PIECE)
            if not piece:
                return False
            ahead = piece.lstrip(b"\0")
        self.unpacking, self.ahead = self.fresh(), ahead
        return True


def unpacked(file: BinaryIO, kind: str) -> BinaryIO:
    """The content of an open "bzip2" or "xz" file, as a file that can be read and seeked.

    Reading raises OSError, EOFError, lzma.LZMAError or ValueError where the file is damaged.
    """
    if kind == "xz":
        return io.BufferedReader(_Stream(file, lambda: lzma.LZMADecompressor(memlimit=MEMORY)), BUFFER)
    return io.BufferedReader(_Stream(file, bz2.BZ2Decompressor), BUFFER)
