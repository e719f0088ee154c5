"""PASCAL_MT's archive, a tar packed by gzip, read member by member from front to back without trusting it.

Nothing is left to `tarfile`'s own extraction: a member is a checked name and counted bytes.
"""

from __future__ import annotations

import gzip
import posixpath
import tarfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from tabench.data.base import Progress
from tabench.data.listing import unreadable
from tabench.data.prepare.archives import AGAIN, HOSTILE, Budget, safe_name
from tabench.errors import DataError

# what damaged headers, numbers in them and packed bytes are met with
_BROKEN = (tarfile.TarError, EOFError, zlib.error, OSError, ValueError, OverflowError)
PIECE = 1 << 20
LARGEST_READ = 64 << 20  # asked for at once; only a forged header is larger


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
        self.tell = stream.tell

    def read(self, size: int) -> bytes:
        if size > LARGEST_READ:
            raise DataError(f"a header of {size} bytes", where=self.archive, hint=HOSTILE)
        data = self.stream.read(size)
        self._check(self.tell())
        return data

    def seek(self, position: int) -> int:
        self._check(position)
        return self.stream.seek(position)

    def _check(self, position: int) -> None:
        if position > self.most:
            raise DataError(f"unpacks to more than {self.most} bytes", where=self.archive, hint=HOSTILE)


def members(path: Path, budget: Budget, progress: Progress | None = None) -> Iterator[Member]:
    """Files and links of an archive, in its order; folders are passed over. Progress is in packed bytes.

    Raises:
        DataError: The archive is damaged, passes a limit of its budget, or has a member that is not a file
            of it: absolute or climbing names, links out of it, devices. Names the member.
    """
    with _opened(path, budget) as (file, archive):
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
                problem = f"member {info.name!r} is a device or another special file"
                raise DataError(problem, where=str(path), hint=HOSTILE)


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
        problem = f"member {info.name!r} is a link out of the archive, to {info.linkname!r}"
        raise DataError(problem, where=str(path), hint=HOSTILE)
    return target


@contextmanager
def _opened(path: Path, budget: Budget) -> Iterator[tuple[BinaryIO, tarfile.TarFile]]:
    most = 2 * budget.limits[1] + (1 << 20)  # headers and padding beside the content
    try:
        with path.open("rb") as file, gzip.GzipFile(fileobj=file) as stream:
            guard = cast(BinaryIO, _Guard(cast(BinaryIO, stream), str(path), most))
            with tarfile.open(fileobj=guard, mode="r:") as archive:
                yield file, archive
            while guard.read(PIECE):  # behind the last member: there stands the checksum of what is packed
                pass
    except RecursionError as error:
        raise DataError("headers inside headers", where=str(path), hint=HOSTILE) from error
    except PermissionError as error:
        raise unreadable(error, path) from error
    except _BROKEN as error:
        raise DataError(f"not a whole .tgz archive: {error}", where=str(path), hint=AGAIN) from error
