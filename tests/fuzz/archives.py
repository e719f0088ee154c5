"""Archives: CityScapes' zips, PASCAL_MT's tar, artifacts. Nothing is unpacked by a library's own rules."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import io
import struct
import tarfile
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

from fuzz.mutation import damaged
from fuzz.target import Target, reading
from tabench.artifact.check import check_artifact
from tabench.data.prepare.archives import Budget, ZipTree
from tabench.data.prepare.tarball import members

OUTSIDE = ("../x", "/x", "a/../../x", "C:x", "a\\b")
ODD_NAMES = ("\0", "a\0b", "", ".", "./a", "a//b", "é", "\u202e", "x" * 300, "con", "a\nb")
SOUND = ("a", "b/c.png", "A", "a/", "results/n/0123456789abcdef/record.json", "SHA256SUMS")
NAMES = (*SOUND, *OUTSIDE, *ODD_NAMES)
LINKS = (tarfile.SYMTYPE, tarfile.LNKTYPE)
DEVICES = (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE)
FILES = (tarfile.REGTYPE, tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE, tarfile.GNUTYPE_SPARSE)
TYPES = (*FILES, *LINKS, *DEVICES, tarfile.DIRTYPE, b"Z")
PAX = (
    {},
    {},
    {"path": "../x"},
    {"size": "9" * 30},
    {"size": "-1"},
    {"GNU.sparse.map": "0,9,9"},
    {"mtime": "nan"},
    {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"},
    {"hdrcharset": "BINARY"},
    {"linkpath": "/etc/passwd"},
)
CONTENTS = (b"", b"x", b"abc" * 9, bytes(1 << 12), bytes(3 << 20))


@st.composite
def zips(draw: DrawFn) -> bytes:
    """Zips of hostile names, modes, methods and sizes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that are there twice
        archive.comment = draw(st.sampled_from([b"", b"x", b"PK\5\6" + bytes(18)]))
        for name in draw(st.lists(st.sampled_from(NAMES), max_size=5)):
            info = zipfile.ZipInfo("x")
            info.filename = name
            info.external_attr = draw(st.sampled_from([0, 0o100644, 0o120777, 0o060644, 0o040755])) << 16
            info.compress_type = draw(st.sampled_from([0, 8, 8, 12, 14]))
            content = draw(st.sampled_from(CONTENTS))
            with contextlib.suppress(ValueError, struct.error):
                archive.writestr(info, content)
    data = bytearray(buffer.getvalue())
    if draw(st.booleans()):  # a size in the directory that is not the member's
        at = data.find(b"PK\1\2") + draw(st.sampled_from([8, 10, 20, 24, 28, 38, 42]))
        value = draw(st.sampled_from([0, 1, 99, 2**31, 2**32 - 2, 2**32 - 1]))
        if at < len(data) - 60:
            data[at : at + 4] = struct.pack("<I", value)
    return bytes(data)


ENTRIES = st.tuples(*map(st.sampled_from, (NAMES, TYPES, NAMES, PAX, CONTENTS, (False, False, True))))
FORMATS = (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT)
FIELDS = (b"", b"", b"\x80" + b"\xff" * 11, b"77777777777\0", b"-1         \0", b"\xff" * 12)


@st.composite
def tars(draw: DrawFn) -> bytes:
    """Tars of hostile names, kinds, links and headers."""
    entries = draw(st.lists(ENTRIES, max_size=5))
    form, field = draw(st.tuples(st.sampled_from(FORMATS), st.sampled_from(FIELDS)))
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form) as archive:
        for name, kind, link, headers, data, lying in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.pax_headers = kind, link, dict(headers)
            info.size = 1 << 33 if lying else len(data)
            with contextlib.suppress(ValueError):
                archive.addfile(info, None if lying else io.BytesIO(data))
    tar = bytearray(buffer.getvalue())
    if field and len(tar) > 512:  # a size field of a header, its checksum made right again
        tar[124:136] = field
        tar[148:156] = b" " * 8
        tar[148:156] = b"%06o\0 " % sum(tar[:512])
    return gzip.compress(bytes(tar), 1, mtime=0)


def artifact(names: tuple[str, ...], record: bytes) -> bytes:
    """A small artifact with right sums."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        lines = []
        for name in names:
            data = record if name.endswith("record.json") else b"x"
            archive.writestr(zipfile.ZipInfo(name), data)
            lines.append(f"{hashlib.sha256(data).hexdigest()}  {name}\n")
        archive.writestr(zipfile.ZipInfo("SHA256SUMS"), "".join(lines))
    return buffer.getvalue()


def _zip() -> Target:
    def read(path: Path) -> object:
        tree = ZipTree(path)
        try:
            return [len(tree.read(name)) for name in tree.sizes]
        finally:
            tree.close()

    good = io.BytesIO()
    with zipfile.ZipFile(good, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(
            zipfile.ZipInfo("leftImg8bit/train/a/a_leftImg8bit.png"), b"abc" * 50, zipfile.ZIP_DEFLATED
        )
        archive.writestr(zipfile.ZipInfo("README"), b"x")
    return reading("zip", "a.zip", st.one_of(zips(), damaged([good.getvalue()])), read)


def _tar() -> Target:
    def read(path: Path) -> object:
        return [len(m.read()) for m in members(path, Budget(str(path), largest=1 << 28)) if m.link is None]

    good = io.BytesIO()
    with tarfile.open(fileobj=good, mode="w") as archive:
        for name in ("PASCAL_MT/a.png", "PASCAL_MT/b"):
            info = tarfile.TarInfo(name)
            info.size = 5
            archive.addfile(info, io.BytesIO(b"12345"))
    below = damaged([good.getvalue()], head=512).map(lambda data: gzip.compress(data, 1, mtime=0))
    inputs = st.one_of(tars(), below, damaged([gzip.compress(good.getvalue(), mtime=0)]))
    return reading("tar", "a.tgz", inputs, read)


def _artifact() -> Target:
    from fuzz.samples import cell_id, record_bytes

    names = (f"results/n/{cell_id()}/record.json", "README.md")
    seeds = [artifact(names, record_bytes()), artifact(("README.md",), b"")]
    inputs = st.one_of(zips(), damaged(seeds))
    return reading("artifact", "a.zip", inputs, check_artifact)


TARGETS: dict[str, Callable[[], Target]] = {"zip": _zip, "tar": _tar, "artifact": _artifact}
