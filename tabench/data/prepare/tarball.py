"""Reading an archive from elsewhere, member by member, without trusting it.

It is a tar archive, plain or packed by gzip, bzip2 or xz, or a zip archive: its content tells, not its name.
A tar is read as a stream from front to back. Nothing is left to `tarfile`'s own extraction: a member is a
name that was checked and bytes that were counted.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from tabench.data.file_kinds import ARCHIVES, BZIP2, GIVE, GZIP, OTHER, XZ, ZIP, kind_of, phrase
from tabench.data.listing import unreadable
from tabench.data.prepare.archives import AGAIN, HOSTILE, Budget, ZipTree, safe_name
from tabench.errors import DataError

# what damaged headers, numbers in them and packed bytes are met with
_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, OSError, ValueError, OverflowError)
PIECE = 1 << 20
LARGEST_READ = 64 << 20  # asked for at once; only a forged header is larger
MEMORY = 128 << 20  # bytes that an xz stream may need; `xz -9` makes some that need 65 million
BUFFER = 1 << 20  # tar steps back a little; further back all is unpacked again


@dataclass(frozen=True)
class Member:
    """A file of the archive, or a link to one."""

    name: str  # relative path with slashes
    size: int  # bytes; 0 for a link
    link: str | None  # what a link points to, as a name of the same archive; None for a file
    read: Callable[[], bytes]  # gives a file's content; valid until the next member is asked for


class _Guard:
    """The unpacked stream, closed to absurd requests and to archives that never end."""

    def __init__(self, stream: BinaryIO, archive: str, most: int) -> None:
        self.stream, self.archive, self.most = stream, archive, most

    def read(self, size: int) -> bytes:
        if size > LARGEST_READ:
            raise DataError(f"a header of {size} bytes", where=self.archive, hint=HOSTILE)
        data = self.stream.read(size)
        self._check()
        return data

    def seek(self, position: int) -> int:
        self._check(position)
        return self.stream.seek(position)

    def tell(self) -> int:
        return self.stream.tell()

    def _check(self, position: int | None = None) -> None:
        if (self.stream.tell() if position is None else position) > self.most:
            raise DataError(f"unpacks to more than {self.most} bytes", where=self.archive, hint=HOSTILE)


def members(
    path: Path, budget: Budget, progress: Callable[[int, int, str], None] | None = None
) -> Iterator[Member]:
    """Files and links of an archive, in its order; folders are passed over. Progress is in packed bytes.

    Raises:
        DataError: The archive is damaged, passes a limit of its budget, or has a member that is not a file
            of it: absolute or climbing names, links out of it, devices. Names the member.
    """
    kind = kind_of(path)
    if kind == ZIP:
        yield from _of_zip(path, budget, progress)
        return
    if kind not in (*ARCHIVES, OTHER):
        raise DataError(f"this is {phrase(kind)} and not the archive", where=str(path), hint=GIVE)
    with _opened(path, kind, budget) as (file, archive):
        total = path.stat().st_size
        for info in archive:
            name = safe_name(info.name, str(path))
            budget.add(info.name, info.size)
            if progress is not None:
                progress(file.tell(), total, name)
            if info.isdir():
                continue
            if name == ".":
                raise DataError(f"member {info.name!r} has no name", where=str(path), hint=HOSTILE)
            if info.issym() or info.islnk():
                yield Member(name, 0, _target(info, name, path), lambda: b"")
            elif info.isfile() and not info.issparse():
                yield Member(name, info.size, None, _reader(archive, info, path))
            else:
                raise DataError(
                    f"member {info.name!r} is a device or another special file", where=str(path), hint=HOSTILE
                )


def _of_zip(path: Path, budget: Budget, progress: Callable[[int, int, str], None] | None) -> Iterator[Member]:
    tree = ZipTree(path)
    try:
        total, done = sum(tree.members[name].compress_size for name in tree.sizes), 0
        for name, size in tree.sizes.items():
            budget.add(name, size)
            done += tree.members[name].compress_size
            if progress is not None:
                progress(done, total, name)
            yield Member(name, size, None, partial(tree.read, name))
    finally:
        tree.close()


def _reader(archive: tarfile.TarFile, info: tarfile.TarInfo, path: Path) -> Callable[[], bytes]:
    def read() -> bytes:
        try:
            stream = archive.extractfile(info)
            data = stream.read() if stream is not None else b""
        except _BROKEN as error:
            raise DataError(f"member {info.name!r}: {error}", where=str(path), hint=AGAIN) from error
        if len(data) != info.size:
            raise DataError(f"member {info.name!r} is cut off", where=str(path), hint=AGAIN)
        return data

    return read


def _target(info: tarfile.TarInfo, name: str, path: Path) -> str:
    """A link's target as a name of the archive: symbolic ones are relative to their folder."""
    start = posixpath.dirname(name) if info.issym() else ""
    target = posixpath.normpath(posixpath.join(start, info.linkname))
    if posixpath.isabs(target) or target.split("/")[0] == ".." or "\\" in info.linkname:
        raise DataError(
            f"member {info.name!r} is a link out of the archive, to {info.linkname!r}",
            where=str(path),
            hint=HOSTILE,
        )
    return target


@contextmanager
def _opened(path: Path, kind: str, budget: Budget) -> Iterator[tuple[BinaryIO, tarfile.TarFile]]:
    most = 2 * budget.limits[1] + (1 << 20)  # headers and padding beside the content
    try:
        with path.open("rb") as file:
            stream = _unpacked(file, kind)
            guard = cast(BinaryIO, _Guard(stream, str(path), most))
            with tarfile.open(fileobj=guard, mode="r:") as archive:
                yield file, archive
            while guard.read(PIECE):  # behind the last member: there stands the checksum of what is packed
                pass
    except RecursionError as error:
        raise DataError("headers inside headers", where=str(path), hint=HOSTILE) from error
    except PermissionError as error:
        raise unreadable(error, path) from error
    except _BROKEN as error:
        raise DataError(f"not a whole tar archive: {error}", where=str(path), hint=AGAIN) from error


def _unpacked(file: BinaryIO, kind: str) -> BinaryIO:
    if kind == GZIP:
        return cast(BinaryIO, gzip.GzipFile(fileobj=file))
    if kind == BZIP2:
        return cast(BinaryIO, bz2.BZ2File(file))
    return io.BufferedReader(_XzStream(file), BUFFER) if kind == XZ else file


class _XzStream(io.RawIOBase):
    """The unpacked content of an xz file that may hold several streams, one after the other.

    Python's own file object for xz has no limit on the memory that a stream's header may ask for.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self._begin()

    def _begin(self) -> None:
        self.file.seek(0)
        self.unpacking, self.at, self.ahead = lzma.LZMADecompressor(memlimit=MEMORY), 0, b""

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
        self.unpacking, self.ahead = lzma.LZMADecompressor(memlimit=MEMORY), ahead
        return True
