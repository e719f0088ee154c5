"""Opening zip archives from elsewhere with bounds on what their directory may make Python hold."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import Path

LARGEST_DIRECTORY = 32 << 20  # bytes: some 250,000 members; each costs half a kilobyte of memory
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # the others unpack all they can at once
# what zipfile meets damage with, beside its own error
BROKEN = (zipfile.BadZipFile, zlib.error, struct.error, NotImplementedError, RuntimeError, EOFError,
          ValueError, OverflowError, IndexError, MemoryError)  # fmt: skip


class _Guard(io.BufferedReader):
    """A file that refuses to be read in pieces larger than `most`, while that is set."""

    most = LARGEST_DIRECTORY

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and self.most and size > self.most:
            raise zipfile.BadZipFile(f"a directory of {size} bytes, at most {self.most} are accepted")
        return super().read(size)


class Zip(zipfile.ZipFile):
    """A zip archive open for reading. Raises BadZipFile: it is not whole, or its directory is a bomb."""

    _held: _Guard | None = None  # of a file that cannot be opened; Python closes that too, at its end

    def __init__(self, path: Path) -> None:
        self._held = _Guard(io.FileIO(path))
        try:
            super().__init__(self._held)
        except BROKEN as error:
            self._held.close()
            raise zipfile.BadZipFile(str(error) or type(error).__name__) from error
        self._held.most = 0

    def close(self) -> None:
        """Close the archive and its file."""
        super().close()
        if self._held is not None:
            self._held.close()


def content(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    """A member's content, its checksum compared; never more than it declares. Raises BadZipFile: damaged."""
    try:
        with archive.open(info) as file:
            data = file.read(info.file_size)
    except BROKEN as error:
        raise zipfile.BadZipFile(str(error) or type(error).__name__) from error
    if len(data) != info.file_size:
        raise zipfile.BadZipFile(f"{len(data)} bytes of {info.file_size}")
    return data
