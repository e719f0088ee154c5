"""Zip archives that ask for more memory than their bytes are worth."""

from __future__ import annotations

import contextlib
import gc
import io
import struct
import tracemalloc
import zipfile
from functools import cache
from pathlib import Path

import pytest

from tabench.artifact.check import check_artifact
from tabench.data.prepare.archives import ZipTree
from tabench.errors import DataError, StoreError
from tabench.store import zips

BOMB = 64 << 20


@cache
def packed(method: int, size: int) -> bytes:
    """One member of zeros."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as held:
        with held.open(zipfile.ZipInfo("SHA256SUMS"), "w") as file:
            file.write(b"")
        info = zipfile.ZipInfo("a.png")
        info.compress_type = method
        with held.open(info, "w") as file:
            for _ in range(size >> 20):
                file.write(bytes(1 << 20))
    return buffer.getvalue()


def archive(method: int, size: int, claimed: int | None = None) -> bytes:
    """The same; `claimed` is the size that the directory and the member's head tell."""
    data = bytearray(packed(method, size))
    if claimed is not None:
        at = data.rfind(b"PK\1\2")
        data[at + 24 : at + 28] = struct.pack("<I", claimed)
    return bytes(data)


def read_all(path: Path) -> None:
    with contextlib.closing(ZipTree(path)) as held:
        for name in held.sizes:
            held.read(name)


def peak_of(path: Path) -> float:
    """Megabytes that reading everything takes, whether it is refused or not."""
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=r"a\.zip") as caught:
            read_all(path)
        assert caught.value.hint
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
@pytest.mark.parametrize("claimed", [None, 100, 900_000])
def test_no_method_unpacks_more_than_is_claimed(method: int, claimed: int | None, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(archive(method, BOMB, claimed))
    assert (tmp_path / "a.zip").stat().st_size < BOMB / 200
    assert peak_of(tmp_path / "a.zip") < 8


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_artifacts_are_not_packed_so(method: int, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(archive(method, BOMB, 100))
    tracemalloc.start()
    found = check_artifact(tmp_path / "a.zip")
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    assert any("packed by a method" in problem for problem in found.problems)
    assert peak < 8


def test_a_directory_of_millions_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as held:
        for number in range(2000):
            held.writestr(zipfile.ZipInfo(f"{number}.png"), b"")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    with zips.Zip(tmp_path / "a.zip") as opened:
        assert len(opened.namelist()) == 2000
    monkeypatch.setattr(zips._Guard, "most", 50_000)
    with pytest.raises(DataError, match="a directory of"):
        ZipTree(tmp_path / "a.zip")


def test_a_member_larger_than_the_archive_is_refused(tmp_path: Path) -> None:
    data = bytearray(archive(zipfile.ZIP_STORED, 1 << 20))
    at = data.rfind(b"PK\1\2")
    data[at + 20 : at + 28] = struct.pack("<II", 1 << 31, 1 << 31)
    (tmp_path / "a.zip").write_bytes(data)
    assert peak_of(tmp_path / "a.zip") < 8


@pytest.mark.parametrize("name", ["", ".", "./"])
def test_members_without_a_name(name: str, tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as held:
        info = zipfile.ZipInfo("x")
        info.filename = name
        held.writestr(info, b"1")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue())
    if name == "./":  # a folder
        assert not ZipTree(tmp_path / "a.zip").sizes
        return
    with pytest.raises(DataError, match="name"):
        ZipTree(tmp_path / "a.zip")


def test_an_archive_that_is_not_there_ends_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StoreError, match="cannot be read as an artifact: No such file or directory"):
        check_artifact(tmp_path / "a.zip")
    gc.collect()
    assert capsys.readouterr().err == ""


def test_names_of_torn_letters(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as held:
        held.writestr(zipfile.ZipInfo("é"), b"1")
    (tmp_path / "a.zip").write_bytes(buffer.getvalue().replace("é".encode(), b"\xff\xfe"))
    with pytest.raises(DataError, match="not a whole zip"):
        ZipTree(tmp_path / "a.zip")
    with pytest.raises(StoreError, match="cannot be read as an artifact"):
        check_artifact(tmp_path / "a.zip")
