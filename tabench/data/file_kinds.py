"""What a file is, by its first bytes: a name tells what somebody hoped for."""

from __future__ import annotations

from pathlib import Path

from tabench.data.listing import unreadable

ZIP, GZIP, BZIP2, XZ, TAR = "zip", "gzip", "bzip2", "xz", "tar"
V73, V5, OTHER = "a MATLAB v7.3 (HDF5) file", "a MATLAB v5 or v7 file", ""
GIVE = "give the archive as its owner gives it out, or the folder that it unpacks to"
_HEAD = 1024  # bytes that are looked at
_BEGINNINGS = (
    (b"PK\x03\x04", ZIP),
    (b"PK\x05\x06", ZIP),  # an empty one
    (b"\x1f\x8b", GZIP),
    (b"BZh", BZIP2),
    (b"\xfd7zXZ\0", XZ),
    (b"MATLAB 5.0 MAT-file", V5),
    (b"MATLAB 7.3 MAT-file", V73),
    (b"\x89HDF\r\n\x1a\n", V73),
    (b"\x28\xb5\x2f\xfd", "a zstd archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"Rar!\x1a\x07", "a rar archive"),
)
ARCHIVES = (ZIP, GZIP, BZIP2, XZ, TAR)
_NAMES = {kind: f"a {kind} archive" for kind in ARCHIVES} | {XZ: "an xz archive"}


def kind_of(path: Path) -> str:
    """What a file is: one of the constants, another phrase that a message can name it by, or `OTHER`.

    Raises:
        DataError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return kind_of_bytes(file.read(_HEAD))
    except OSError as error:
        raise unreadable(error, path) from error


def kind_of_bytes(head: bytes) -> str:
    """As `kind_of`, of a file's beginning."""
    for begin, kind in _BEGINNINGS:
        if head.startswith(begin):
            return kind
    if head[257:262] == b"ustar":
        return TAR
    if head[512:520] == b"\x89HDF\r\n\x1a\n":  # behind a user block
        return V73
    if head[:_HEAD].lstrip(b"\xef\xbb\xbf \t\r\n")[:9].lower().startswith((b"<!doctype", b"<html")):
        return "a web page (sites answer so where a login is needed)"
    if head and not head.strip(b"\0"):
        return "nothing but zeros at its beginning, as a download that was broken off leaves"
    return OTHER


def phrase(kind: str) -> str:
    """A kind as messages name it."""
    return _NAMES.get(kind, kind)
