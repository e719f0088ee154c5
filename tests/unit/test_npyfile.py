"""Arrays from elsewhere: read right in any byte order, refused where they are not what they say."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest

from tabench.data.array_folders import read_array
from tabench.errors import DataError


def forged(header: str, body: bytes = b"") -> bytes:
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode("latin1") + body


def head(descr: str, shape: str, order: str = "False") -> bytes:
    return forged(f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}\n", bytes(64))


@pytest.mark.parametrize("dtype", ["<f4", ">f4", "<f8", ">f8", "<f2", ">f2"])
@pytest.mark.parametrize("fortran", [False, True])
def test_any_byte_order_and_memory_order_gives_the_same_values(
    dtype: str, fortran: bool, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).uniform(0.5, 8, (5, 7, 1)).astype(dtype)
    np.save(tmp_path / "0.npy", np.asfortranarray(values) if fortran else values)
    read = read_array(tmp_path / "0.npy", "depth", 13)
    assert read.dtype == np.float32
    assert read.shape == (1, 5, 7)
    assert np.array_equal(read[0], values[..., 0].astype(np.float32))


@pytest.mark.parametrize("dtype", ["<i8", ">i8", ">i2", "|i1", ">f4"])
def test_labels_of_any_byte_order(dtype: str, tmp_path: Path) -> None:
    values = np.arange(-1, 11).reshape(3, 4).astype(dtype)
    np.save(tmp_path / "0.npy", values)
    read = read_array(tmp_path / "0.npy", "label", 13)
    assert read.dtype == np.int64
    assert read.tolist() == np.arange(-1, 11).reshape(3, 4).tolist()


@pytest.mark.parametrize(
    "content",
    [
        head("'<f4'", "(1000000000000, 1000000000000, 1)"),  # more than any address
        head("'<f4'", "(4294967296, 4294967296, 1)"),  # a product that wraps around to 0
        head("'<f4'", "(9223372036854775808, 1, 1)"),
        head("'<f4'", "(-1, 4, 1)"),
        head("'<f4'", "(4, -4, -1)"),
        head("'<f4'", "(True, 4, 1)"),
        head("'|O'", "(2, 2, 1)"),
        head("[('a', '<f4'), ('b', '|O')]", "(2, 2, 1)"),
        head("'(1000000000,)<f8'", "(2, 2, 1)"),
        head("'<f4'", "(" * 300),
        head("__import__('os').mkdir('ran')", "(2, 2, 1)"),
        forged("{'descr': '''<f4"),  # ends inside a text
        forged('{\'descr\': """'),
        forged("x" * 60_000),
        b"\x93NUMPY\x02\x00\xff\xff\xff\xff{}",
        b"\x93NUMPY\x09\x00",
        b"\x80\x04\x95",
        b"",
    ],
)
def test_a_forged_header_is_refused_before_memory_is_asked_for(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "0.npy").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"0\.npy") as caught:
            read_array(tmp_path / "0.npy", "depth", 13)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert caught.value.hint
    assert peak < 20e6
    assert not (tmp_path / "ran").exists()


def test_an_archive_or_a_pickle_under_this_name(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.zeros(3))
    broken = buffer.getvalue()[:-40]
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}], dtype=object), allow_pickle=True)
    for content in (buffer.getvalue(), broken, b"PK\x05\x06" + bytes(18), pickled.getvalue()):
        (tmp_path / "0.npy").write_bytes(content)
        with pytest.raises(DataError, match=r"not a readable \.npy"):
            read_array(tmp_path / "0.npy", "depth", 13)
    assert zipfile.is_zipfile(io.BytesIO(buffer.getvalue()))


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("depth", 1e300, "float32 cannot hold"),
        ("depth", np.nan, "NaN or infinite"),
        ("depth", -1.0, "negative depth"),
        ("normal", 1e30, "expected unit vectors"),
        ("normal", 200.0, "expected unit vectors"),
        ("normal", np.inf, "NaN or infinite"),
        ("image", np.nan, "NaN or infinite"),
        ("image", 200.0, "expected 0..1"),
        ("label", 13.0, "labels 13"),
        ("label", np.nan, "not whole numbers"),
        ("label", 2.0**63, "outside"),
    ],
)
def test_values_that_no_image_has(kind: str, value: float, words: str, tmp_path: Path) -> None:
    shape = {"image": (3, 4, 3), "normal": (3, 4, 3), "depth": (3, 4, 1), "label": (3, 4)}[kind]
    array = np.full(shape, 0.5 if kind != "label" else 1.0)
    array.flat[5] = value
    np.save(tmp_path / "0.npy", array)
    with pytest.raises(DataError, match=words) as caught:
        read_array(tmp_path / "0.npy", kind, 13)
    assert "0.npy" in str(caught.value)


def test_a_sparse_file_of_gigabytes_is_refused_by_its_shape(tmp_path: Path) -> None:
    header = "{'descr': '<f4', 'fortran_order': False, 'shape': (100000, 100000, 1), }\n"
    path = tmp_path / "0.npy"
    path.write_bytes(forged(header))
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size + 4 * 10**10)  # holes: no block of the disk is taken
    with pytest.raises(DataError, match="pixels accepted"):
        read_array(path, "depth", 13)
