"""MATLAB v5 files: as SciPy reads them where they are sound, refused where SciPy would end the process."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from pascal_folder import save_anno, save_label_map

from tabench.data import matfile
from tabench.data.matfile import read_mat
from tabench.data.pascal.matlab import read_label_map, read_parts
from tabench.errors import DataError

HEAD = b"MATLAB 5.0 MAT-file".ljust(124)


def element(kind: int, data: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "II", kind, len(data)) + data + bytes(-len(data) % 8)


def numbers(
    values: np.ndarray, kind: int = 4, dims: tuple[int, ...] | None = None, order: str = "<", flags: int = 11
) -> bytes:
    """A variable "x" of uint16."""
    sizes = struct.pack(f"{order}{len(dims or values.shape)}i", *(dims or values.shape))
    data = values.astype(order + "u2").tobytes(order="F")
    parts = [element(6, struct.pack(order + "II", flags, 0), order), element(5, sizes, order)]
    whole = b"".join([*parts, element(1, b"x", order), element(kind, data, order)])
    return element(14, whole, order)


def file_of(variable: bytes, order: str = "<") -> bytes:
    return HEAD + (b"\0\1IM" if order == "<" else b"\1\0MI") + variable


def test_a_label_map_and_an_annotation_are_what_scipy_reads(tmp_path: Path) -> None:
    labels = np.arange(35).reshape(5, 7)
    path = save_label_map(tmp_path / "a.mat", labels)
    held = read_mat(path.read_bytes(), ["LabelMap"])["LabelMap"]
    assert held.dtype == np.uint16
    assert np.array_equal(held, labels)
    assert np.array_equal(read_label_map(path), labels)
    mask = np.zeros((4, 6), bool)
    mask[1:3] = True
    objects = [("dog", 12, mask, []), ("person", 15, mask, [("head", mask), ("torso", ~mask)])]
    path = save_anno(tmp_path / "b.mat", "name", objects)
    ours, theirs = read_mat(path.read_bytes(), ["anno"])["anno"], scipy.io.loadmat(path)["anno"]
    assert repr(ours) == repr(theirs)
    assert read_parts(path) is not None


@pytest.mark.parametrize("packed", [False, True])
def test_every_kind_of_number_and_text(packed: bool) -> None:
    kinds = ("f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "c16")
    values = {f"v{kind}": np.arange(6).reshape(2, 3).astype(kind) for kind in kinds}
    values |= {"text": "abc", "empty": np.zeros((0, 3)), "flag": np.array([[True]])}
    values["cell"] = np.array([["a", np.ones((2, 2))]], object)
    buffer = io.BytesIO()
    scipy.io.savemat(buffer, values, do_compression=packed)
    ours = read_mat(buffer.getvalue(), list(values))
    theirs = scipy.io.loadmat(buffer)
    for name in values:
        assert ours[name].dtype == theirs[name].dtype, name
        assert repr(ours[name]) == repr(theirs[name]), name


def test_big_endian_files_are_read_right() -> None:
    values = np.array([[1, 2, 300], [40_000, 5, 6]])
    for order in "<>":
        held = read_mat(file_of(numbers(values, order=order), order), ["x"])["x"]
        assert np.array_equal(held, values)


@pytest.mark.parametrize("kind", [0, 8, 10, 0x8004, 99, 0x7FFF])
def test_a_type_that_ends_scipy(kind: int) -> None:
    with pytest.raises(ValueError, match="of type"):
        read_mat(file_of(numbers(np.ones((2, 3)), kind)), ["x"])


@pytest.mark.parametrize(
    "dims", [(1 << 30, 1 << 30), (-2, 3), (2, 4), (1 << 20, 1 << 10), (0, 9), (2,), (1,) * 40]
)
def test_sizes_that_the_values_do_not_have(dims: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"sizes|bytes"):
        read_mat(file_of(numbers(np.ones((2, 3)), dims=dims)), ["x"])


@pytest.mark.parametrize("flags", [3, 5, 16, 17, 0, 200])
def test_classes_that_the_datasets_do_not_have(flags: int) -> None:
    with pytest.raises(ValueError, match="class"):
        read_mat(file_of(numbers(np.ones((2, 3)), flags=flags)), ["x"])


def test_a_bomb_is_unpacked_up_to_the_limit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(matfile, "LARGEST", 1 << 20)
    body = zlib.compress(bytes(1 << 28), 9)
    (tmp_path / "a.mat").write_bytes(HEAD + b"\0\1IM" + struct.pack("<II", 15, len(body)) + body)
    tracemalloc.start()
    with pytest.raises(DataError, match=r"a\.mat.*more than"):
        read_label_map(tmp_path / "a.mat")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8e6


def test_structs_without_end() -> None:
    inner = numbers(np.ones((1, 1)))
    for _ in range(30):
        head = element(6, struct.pack("<II", 1, 0)) + element(5, struct.pack("<ii", 1, 1)) + element(1, b"x")
        inner = element(14, head + inner)
    with pytest.raises(ValueError, match="depth"):
        read_mat(file_of(inner), ["x"])


@pytest.mark.parametrize("cut", [0, 100, 128, 132, 140, 170, 200])
def test_a_file_cut_off_anywhere(cut: int) -> None:
    content = file_of(numbers(np.ones((2, 3))))[:cut]
    if cut == 128:
        assert read_mat(content, ["x"]) == {}
        return
    with pytest.raises(ValueError, match=r"header|cut off|left"):
        read_mat(content, ["x"])


def test_the_other_formats() -> None:
    for content in (HEAD + b"\0\2IM" + bytes(100), bytes(200)):  # v7.3; v4 begins with zeros
        with pytest.raises(ValueError, match="no header"):
            read_mat(content, ["x"])
