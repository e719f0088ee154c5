"""MATLAB files: v5 of PASCAL_MT and of NYUv2's split and class map, v7.3 (HDF5) of NYUv2."""

from __future__ import annotations

import io
import struct
import tempfile
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn
from mat_files import mat
from pascal_folder import save_anno, save_label_map

from fuzz.mutation import damaged
from fuzz.target import Target, reading
from tabench.data.pascal.matlab import read_label_map, read_parts
from tabench.data.prepare.nyu_file import NyuFile
from tabench.data.prepare.nyu_labels import read_split

SIZE = (6, 8)


def unpacked(content: bytes) -> bytes:
    """A v5 file with its compressed variables laid open."""
    out, at = content[:128], 128
    while at + 8 <= len(content):
        kind, size = struct.unpack("<II", content[at : at + 8])
        part = content[at + 8 : at + 8 + size]
        out += zlib.decompress(part) if kind == 15 else content[at : at + 8 + size]
        at += 8 + size
    return out


def packed(content: bytes) -> bytes:
    """A v5 file with everything behind the header as one compressed variable."""
    body = zlib.compress(content[128:], 1)
    return content[:128] + struct.pack("<II", 15, len(body)) + body


def bomb(name: str, dims: tuple[int, ...], size: int, kind: int = 9, claimed: int | None = None) -> bytes:
    """A compressed numeric variable of zeros; `claimed` is the length that its header tells."""
    padded = name.encode().ljust(-(-len(name) // 8) * 8, b"\0")
    flags = struct.pack("<IIII", 6, 8, kind, 0)
    shape = (
        struct.pack("<II", 5, 4 * len(dims))
        + struct.pack(f"<{len(dims)}i", *dims)
        + bytes(4 * (len(dims) % 2))
    )
    title = struct.pack("<II", 1, len(name)) + padded
    data = struct.pack("<II", 2, size if claimed is None else claimed) + bytes(size)
    whole = flags + shape + title + data
    body = zlib.compress(struct.pack("<II", 14, len(whole)) + whole, 9)
    return b"MATLAB 5.0 MAT-file".ljust(116) + bytes(8) + b"\0\1IM" + struct.pack("<II", 15, len(body)) + body


def bombs(name: str) -> list[bytes]:
    """Little files that ask for much: of values, of dimensions, of structs and of cells."""
    huge = [(1 << 30, 1 << 30), (-1, -1), (1 << 20, 1 << 11), (0, 0), (1,) * 60]
    found = [bomb(name, dims, 64, kind) for dims in huge for kind in (9, 1, 2, 3, 4, 5)]
    return [
        *found,
        bomb(name, (9_000, 9_000), 81_000_000),
        bomb(name, (8, 8), 64, claimed=2**32 - 8),
        bomb(name, (8, 8), 64, claimed=2**31),
    ]


@st.composite
def inside(draw: DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Damage below the compression, where checksums do not see it."""
    content = draw(damaged(seeds))
    return packed(content) if draw(st.booleans()) else content


def _v5(
    name: str, variable: str, seeds: Callable[[Path], list[bytes]], read: Callable[[Path], object]
) -> Target:
    with tempfile.TemporaryDirectory() as place:
        good = seeds(Path(place))
    laid = tuple(unpacked(content) for content in good)
    values = ("text", np.array([["a"]], object), {"a": 1}, 3.5, np.nan, np.zeros((0, 0)))
    odd = [mat({variable: value}) for value in (*values, np.array([1 + 2j]), True)]
    whole = [*good, *odd, *bombs(variable), b"", b"MATLAB 7.3 MAT-file".ljust(124) + b"\0\2IM"]
    inputs = st.one_of(inside(laid), inside(laid), damaged(good), st.sampled_from(whole))
    return reading(name, "a.mat", inputs, read)


def _labels(place: Path) -> list[bytes]:
    return [save_label_map(place / "a.mat", np.arange(48).reshape(SIZE)).read_bytes()]


def _annotations(place: Path) -> list[bytes]:
    mask = np.ones(SIZE, bool)
    person = ("person", 15, mask, [("head", mask), ("torso", mask)])
    return [save_anno(place / "a.mat", "x", [("dog", 12, mask, []), person]).read_bytes()]


def _splits(place: Path) -> list[bytes]:
    return [mat({"trainNdxs": np.array([[1], [3]]), "testNdxs": np.array([[2], [4]])})]


def _hdf5(content: dict[str, Any], **options: Any) -> bytes:
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", track_order=False) as file:
        for name, (shape, dtype) in content.items():
            file.create_dataset(name, shape, dtype, **options)
        names = file.create_dataset("names", (1, 2), h5py.ref_dtype)
        for i, word in enumerate(("wall", "floor")):
            names[0, i] = file.create_dataset(
                f"#refs#/{i}", data=np.array([[ord(c)] for c in word], "u2")
            ).ref
    return buffer.getvalue()


def _nyu() -> Target:
    shapes = {
        "images": ((1, 3, 640, 480), "u1"),
        "depths": ((1, 640, 480), "f4"),
        "labels": ((1, 640, 480), "u2"),
    }
    whole = dict.fromkeys(shapes)
    good = _hdf5({name: shapes[name] for name in whole}, chunks=True, compression="gzip", fillvalue=1)
    many = {name: ((10**6, *shape[1:]), kind) for name, (shape, kind) in shapes.items()}
    wide = _hdf5(many, chunks=None)
    big = io.BytesIO()
    with h5py.File(big, "w") as file:  # a chunk of gigabytes, unpacked whole for one image
        for name, (shape, kind) in shapes.items():
            file.create_dataset(name, (2000, *shape[1:]), kind, chunks=(2000, *shape[1:]), compression="gzip")
        names = file.create_dataset("names", (1, 1), h5py.ref_dtype)
        names[0, 0] = file.create_dataset("#refs#/0", data=np.array([[97]], "u2")).ref
    soft = io.BytesIO()
    with h5py.File(soft, "w") as file:
        file["images"] = h5py.ExternalLink("/etc/passwd", "/x")
        file["depths"] = h5py.SoftLink("/images")

    def read(path: Path) -> object:
        with NyuFile(path) as file:
            return [file.read(index) for index in range(min(len(file), 2))], file.names

    seeds = [good, wide, big.getvalue(), soft.getvalue(), b"", b"\x89HDF\r\n\x1a\n"]
    inputs = st.one_of(
        damaged([good, wide]), damaged([good, big.getvalue()], head=3000), st.sampled_from(seeds)
    )
    return reading("hdf5", "nyu.mat", inputs, read, cost=4)


READERS = {
    "mat labels": ("LabelMap", _labels, read_label_map),
    "mat parts": ("anno", _annotations, read_parts),
    "mat split": ("trainNdxs", _splits, lambda path: read_split(path, 4)),
}
TARGETS = {**{name: partial(_v5, name, *row) for name, row in READERS.items()}, "hdf5": _nyu}
