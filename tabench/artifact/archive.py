"""Writing an artifact: the same bytes for the same members."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from tabench.errors import StoreError
from tabench.provenance.files import Progress
from tabench.store.atomic import replacing

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
    """Write members sorted by name into a zip, and last the sums of all of them, block by block.

    It appears whole by one rename. Times are fixed: equal members give equal bytes, with an equal zlib.
    """
    listed = sorted(members, key=lambda member: member.name)
    _check_names([member.name for member in listed])
    lines = []
    with replacing(out) as file, zipfile.ZipFile(file, "w") as archive:
        for count, member in enumerate(listed, 1):
            digest = hashlib.sha256()
            with member.open() as source, _opened(archive, member.name, member.size) as target:
                while block := source.read(_BLOCK):
                    digest.update(block)
                    target.write(block)
            lines.append(f"{digest.hexdigest()}  {member.name}\n")
            if progress is not None:
                progress(count, len(listed), member.name)
        sums = "".join(lines).encode()
        with _opened(archive, SUMS, len(sums)) as target:
            target.write(sums)
    return out


def _opened(archive: zipfile.ZipFile, name: str, size: int) -> IO[bytes]:
    info = zipfile.ZipInfo(name, _EPOCH)
    info.create_system = 3  # Unix, wherever it is written
    info.external_attr = 0o100644 << 16
    info.compress_type = zipfile.ZIP_STORED if name.endswith(PACKED_ALREADY) else zipfile.ZIP_DEFLATED
    return archive.open(info, "w", force_zip64=size >= zipfile.ZIP64_LIMIT // 2)


def _check_names(names: list[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if not is_safe(name) or name == SUMS:
            raise StoreError(f"'{name}' cannot be the name of an artifact's file", hint="rename it")
        if name.casefold() in seen:  # one system takes them for the same
            raise StoreError(f"'{name}' would be twice in the artifact", hint="rename one of the files")
        seen.add(name.casefold())
