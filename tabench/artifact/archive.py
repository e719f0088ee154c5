"""Writing an artifact: a zip or a folder, the same bytes for the same members."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tabench.errors import StoreError
from tabench.provenance.files import Progress
from tabench.store.atomic import check_writable, draft_of, explained

SUMS = "SHA256SUMS"
PACKED_ALREADY = (".png", ".webp", ".pdf", ".safetensors")  # nothing is gained by packing them again
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time that a zip can hold
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Member:
    """One file of an artifact."""

    name: str  # relative path with "/"
    source: Path | bytes  # the file it is copied from, or its content

    def open(self) -> IO[bytes]:
        """Its content, to be read from the start."""
        return io.BytesIO(self.source) if isinstance(self.source, bytes) else self.source.open("rb")

    @property
    def size(self) -> int:
        """Bytes of its content."""
        return len(self.source) if isinstance(self.source, bytes) else self.source.stat().st_size


def is_safe(name: str) -> bool:
    """Whether a member's name stays inside the folder it is unpacked into, on any system."""
    path = PurePosixPath(name)
    plain = name == str(path) and not path.is_absolute() and ".." not in path.parts and name not in ("", ".")
    return plain and not any(letter in name for letter in '\\:*?"<>|') and name.isprintable()


def write_artifact(members: Iterable[Member], out: Path, progress: Progress | None = None) -> Path:
    """Write members sorted by name, and last the sums of all of them, block by block.

    The result appears whole by one rename. Times are fixed, so equal members give equal bytes (of a zip:
    with an equal zlib).

    Args:
        members: The files; names must be unique.
        out: A path that ends in .zip, or a folder that does not exist yet or is empty.
        progress: Called with members done, members in all, and a name.

    Returns:
        `out`.

    Raises:
        StoreError: A name is unsafe or there twice, a file cannot be read, or `out` cannot be written.
    """
    listed = sorted(members, key=lambda member: member.name)
    _check_names([member.name for member in listed])
    check_place(out)
    with explained(out):
        temporary = draft_of(out)
        try:
            opened = _zip(temporary) if out.suffix == ".zip" else _folder(temporary)
            with opened as target:
                _write(listed, target, progress)
            temporary.replace(out)
        except BaseException:
            if temporary.is_dir():
                shutil.rmtree(temporary, ignore_errors=True)
            else:
                temporary.unlink(missing_ok=True)
            raise
    return out


def check_place(out: Path) -> None:
    """Find out whether an artifact can be written there; makes the folder above.

    Raises:
        StoreError: It cannot, or something is there already.
    """
    with explained(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        if out.suffix != ".zip" and out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise StoreError("is there already", where=str(out), hint="choose another --out or remove it")
    check_writable(out.parent)


Opener = Callable[[str, int], AbstractContextManager[IO[bytes]]]


def _write(listed: list[Member], opener: Opener, progress: Progress | None) -> None:
    lines = []
    for count, member in enumerate(listed, 1):
        digest = hashlib.sha256()
        with member.open() as source, opener(member.name, member.size) as target:
            while block := source.read(_BLOCK):
                digest.update(block)
                target.write(block)
        lines.append(f"{digest.hexdigest()}  {member.name}\n")
        if progress is not None:
            progress(count, len(listed), member.name)
    sums = "".join(lines).encode()
    with opener(SUMS, len(sums)) as target:
        target.write(sums)


def _check_names(names: list[str]) -> None:
    folded = [name.casefold() for name in names]
    for name in names:
        if not is_safe(name) or name == SUMS:
            raise StoreError(f"'{name}' cannot be the name of an artifact's file", hint="rename it")
    twice = {low for low, after in zip(sorted(folded), sorted(folded)[1:], strict=False) if low == after}
    if twice:
        raise StoreError(f"'{min(twice)}' would be twice in the artifact", hint="rename one of the files")


@contextlib.contextmanager
def _zip(path: Path) -> Iterator[Opener]:
    with path.open("xb") as file:
        with zipfile.ZipFile(file, "w") as archive:

            def opener(name: str, size: int) -> AbstractContextManager[IO[bytes]]:
                info = zipfile.ZipInfo(name, _EPOCH)
                info.create_system = 3  # Unix, wherever it is written
                info.external_attr = 0o100644 << 16
                info.compress_type = (
                    zipfile.ZIP_STORED if name.endswith(PACKED_ALREADY) else zipfile.ZIP_DEFLATED
                )
                return archive.open(info, "w", force_zip64=size >= zipfile.ZIP64_LIMIT // 2)

            yield opener
        file.flush()
        os.fsync(file.fileno())


@contextlib.contextmanager
def _folder(path: Path) -> Iterator[Opener]:
    path.mkdir()

    def opener(name: str, size: int) -> AbstractContextManager[IO[bytes]]:
        target = path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        return target.open("xb")

    yield opener
