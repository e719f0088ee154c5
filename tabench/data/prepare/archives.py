"""Files of a source, read alike from a folder or straight out of a zip archive; nothing in it is trusted."""

from __future__ import annotations

import os
import re
import stat
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from tabench.data.listing import is_folder, is_leftover, unreadable
from tabench.errors import DataError
from tabench.store.zips import METHODS, Zip, content

MOST_MEMBERS = 500_000
MOST_BYTES = 256 << 30  # unpacked, of all members
LARGEST = 4 << 30  # unpacked, of one member
RATIO = 200  # unpacked over packed, for members above a megabyte
LARGEST_READ = 256 << 20  # bytes of a file that is held in memory; the datasets' pictures have a few million
AGAIN = (
    "the archive is cut off, damaged or another file: download it again and compare its size with the "
    "dataset's site"
)
HOSTILE = "this is not the official archive, or it was tampered with: nothing was unpacked from it"


def safe_name(name: str, archive: str) -> str:
    """The member's path with slashes; raises DataError where it may leave the folder it is unpacked into."""
    path = PurePosixPath(name)
    if "\0" in name or "\\" in name or re.match(r"[A-Za-z]:", name):
        problem = "has a character that no path of the dataset has"
    elif not name:
        problem = "has no name"
    elif path.is_absolute():
        problem = "is an absolute path"
    elif ".." in path.parts:
        problem = "points out of the folder it is unpacked into"
    else:
        return path.as_posix()
    raise DataError(f"member {name!r} {problem}", where=archive, hint=HOSTILE)


class Budget:
    """Counts members and unpacked bytes of all and of each, and stops an archive that is a bomb."""

    def __init__(
        self, archive: str, *, members: int = MOST_MEMBERS, total: int = MOST_BYTES, largest: int = LARGEST
    ) -> None:
        self.archive = archive
        self.limits = (members, total, largest)
        self.members = self.bytes = 0

    def add(self, name: str, size: int) -> None:
        """Count a member; raises DataError, naming it, where a limit is passed."""
        members, total, largest = self.limits
        self.members += 1
        self.bytes += size
        problem = None
        if self.members > members:
            problem = f"is number {self.members}, more than {members} are not unpacked"
        elif size < 0 or size > largest:
            problem = f"unpacks to {size} bytes, at most {largest} are accepted"
        elif self.bytes > total:
            problem = f"brings the unpacked size to {self.bytes} bytes, at most {total} are accepted"
        if problem:
            raise DataError(f"member {name!r} {problem}", where=self.archive, hint=HOSTILE)


class FileTree(ABC):
    """A named set of files.

    Attributes:
        path: The folder or archive.
        sizes: Relative path with slashes -> bytes; what desktops leave (see `data.listing`) is no file of it.
    """

    path: Path
    sizes: Mapping[str, int]

    @abstractmethod
    def read(self, name: str) -> bytes:
        """Content of one file; raises DataError where it cannot be read or is damaged."""

    def place(self, name: str) -> str:
        """How messages name a file of this tree."""
        return f"{self.path}/{name}"

    def close(self) -> None:  # noqa: B027 - a folder has nothing to close
        """Give the archive's handle back."""


class FolderTree(FileTree):
    """Files below a folder; links that the user made inside it are followed, each folder once.

    Raises:
        DataError: Something in it cannot be read, or is a link to nothing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        sizes: dict[str, int] = {}
        visited: set[str] = set()
        for folder, inner, files in os.walk(path, followlinks=True, onerror=_refuse):
            visited.add(os.path.realpath(folder))
            inner[:] = sorted(
                name
                for name in inner
                if not is_leftover(name) and os.path.realpath(f"{folder}/{name}") not in visited
            )
            for file in files:
                if not is_leftover(file):
                    found = Path(folder) / file
                    size = _size(found)
                    if size is not None:
                        sizes[found.relative_to(path).as_posix()] = size
        self.sizes = sizes

    def read(self, name: str) -> bytes:
        """Content of one file; see `FileTree.read`."""
        _check_size(self, name)
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise unreadable(error, self.place(name)) from error


class ZipTree(FileTree):
    """Members of a zip archive. Every name and size is checked before anything is read.

    Raises:
        DataError: Not a zip archive, or a member that is unsafe (names it).
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.archive = Zip(path)
            whole = path.stat().st_size
        except OSError as error:
            raise unreadable(error, path) from error
        except zipfile.BadZipFile as error:
            raise DataError(f"not a whole zip archive: {error}", where=str(path), hint=AGAIN) from error
        try:
            self.members = _members(self.archive, path, whole)
        except BaseException:
            self.archive.close()
            raise
        self.sizes = {n: info.file_size for n, info in self.members.items() if not is_leftover(n)}

    def read(self, name: str) -> bytes:
        """Content of one member, its checksum compared; see `FileTree.read`."""
        _check_size(self, name)
        try:
            return content(self.archive, self.members[name])
        except (OSError, zipfile.BadZipFile) as error:
            raise DataError(f"damaged: {error}", where=self.place(name), hint=AGAIN) from error

    def close(self) -> None:
        """Close the archive."""
        self.archive.close()


def _refuse(error: OSError) -> None:
    raise unreadable(error, error.filename) from error


def _size(path: Path) -> int | None:
    """Bytes of a file; None for what is no file."""
    try:
        found = path.stat()
    except FileNotFoundError as error:
        hint = "mend the link or remove it: whether an image is missing for it cannot be told"
        raise DataError("a link to nothing", where=str(path), hint=hint) from error
    except OSError as error:
        raise unreadable(error, path) from error
    return found.st_size if stat.S_ISREG(found.st_mode) else None


def _check_size(tree: FileTree, name: str) -> None:
    if tree.sizes[name] > LARGEST_READ:
        raise DataError(
            f"has {tree.sizes[name]} bytes, at most {LARGEST_READ} are read at once",
            where=tree.place(name),
            hint=HOSTILE,
        )


def _members(archive: Zip, path: Path, whole: int) -> dict[str, zipfile.ZipInfo]:
    """Files of an archive of `whole` bytes, by name, each checked."""
    budget = Budget(str(path))
    found: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = safe_name(info.filename, str(path))
        budget.add(info.filename, info.file_size)
        if info.is_dir():
            continue
        problem = "is there twice" if name in found else _zip_problem(info, whole)
        problem = "has no name" if name == "." else problem
        if problem:
            raise DataError(f"member {info.filename!r} {problem}", where=str(path), hint=HOSTILE)
        found[name] = info
    return found


def _zip_problem(info: zipfile.ZipInfo, whole: int) -> str | None:
    kind = stat.S_IFMT(info.external_attr >> 16)
    if info.compress_type not in METHODS:
        return f"is packed by method {info.compress_type}, expected deflate"
    if info.compress_size > whole:
        return f"has {info.compress_size} bytes in an archive of {whole}"
    if kind not in (0, stat.S_IFREG):
        return "is a link or a device, not a file"
    if info.flag_bits & 1:
        return "is encrypted"
    if info.file_size > 1 << 20 and info.file_size > RATIO * max(info.compress_size, 1):
        return f"unpacks to {info.file_size} bytes from {info.compress_size}"
    return None


def open_tree(path: Path) -> FileTree:
    """A folder or a zip archive as a tree; raises DataError where it is neither, or not there."""
    if is_folder(path):
        return FolderTree(path)
    if not path.exists():
        raise DataError("no such file or folder", where=str(path), hint="check the path given with --from")
    return ZipTree(path)
