"""An archive is what its content says, whatever it is called; one that is none is named for what it is."""

from __future__ import annotations

import bz2
import gzip
import lzma
import tracemalloc
import zlib
from pathlib import Path

import pytest
from prepare_sources import city_files, pascal_files, write_city_zips, write_tar, write_zip

from tabench.data.prepare import Request, prepare
from tabench.data.prepare.archives import Budget
from tabench.data.prepare.tarball import members
from tabench.errors import DataError

FILES = {f"PASCAL_MT/{name}": data for name, data in pascal_files().items()}


def packed(folder: Path, form: str) -> bytes:
    """PASCAL_MT as an archive of this form."""
    if form == "zip":
        return write_zip(folder / "in", FILES).read_bytes()
    plain = write_tar(folder / "in", FILES, mode="w").read_bytes()
    half = len(plain) // 2
    return {
        "tar": lambda: plain,
        "bzip2": lambda: bz2.compress(plain),
        "xz": lambda: lzma.compress(plain),
        "parallel xz": lambda: lzma.compress(plain[:half]) + bytes(4) + lzma.compress(plain[half:]),
        "parallel bzip2": lambda: bz2.compress(plain[:half]) + bz2.compress(plain[half:]),
    }[form]()


@pytest.mark.parametrize("form", ["tar", "zip", "bzip2", "xz", "parallel xz", "parallel bzip2"])
@pytest.mark.parametrize("name", ["PASCAL_MT.tgz", "PASCAL_MT"])
def test_every_form_under_a_wrong_name(tmp_path: Path, form: str, name: str) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / name).write_bytes(packed(tmp_path, form))
    outcome = prepare("pascal_context", Request((tmp_path / "raw",), tmp_path / "out"))
    assert outcome.written == len(FILES)
    for path, data in pascal_files().items():
        assert (tmp_path / "out" / path).read_bytes() == data


@pytest.mark.parametrize("form", ["bzip2", "xz", "zip"])
def test_a_damaged_one_is_still_damaged(tmp_path: Path, form: str) -> None:
    whole = packed(tmp_path, form)
    for content in (whole[:-40], whole[: len(whole) // 2], whole[:60] + bytes(80) + whole[140:]):
        (tmp_path / "PASCAL_MT.tgz").write_bytes(content)
        with pytest.raises(DataError, match=r"not a whole|damaged|cut off"):
            prepare("pascal_context", Request((tmp_path / "PASCAL_MT.tgz",), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_bombs_stay_small(tmp_path: Path) -> None:
    plain = write_tar(tmp_path / "plain", {"zeros": bytes(200_000)}, mode="w").read_bytes()
    (tmp_path / "bomb").write_bytes(lzma.compress(plain, preset=0))
    with pytest.raises(DataError, match="'zeros' unpacks to 200000 bytes, at most 1000"):
        list(members(tmp_path / "bomb", Budget("bomb", largest=1000)))
    wide = bytearray(lzma.compress(plain, preset=0))
    end = 12 + 4 * (
        wide[12] + 1
    )  # of the first block's header: size, flags, filter 0x21, 1, its dictionary, crc
    wide[wide.index(b"\x21\x01", 12, end) + 2] = 37  # 1.5 GB
    wide[end - 4 : end] = zlib.crc32(wide[12 : end - 4]).to_bytes(4, "little")
    (tmp_path / "wide").write_bytes(wide)
    with pytest.raises(DataError, match=r"not a whole tar archive: .*[Mm]emory"):
        list(members(tmp_path / "wide", Budget("wide")))
    (tmp_path / "long").write_bytes(bz2.compress(bytes(1 << 26)))
    tracemalloc.start()
    with pytest.raises(DataError, match=r"not a whole tar archive|unpacks to more"):
        list(members(tmp_path / "long", Budget("long", total=1000)))
    assert tracemalloc.get_traced_memory()[1] < 20 << 20
    tracemalloc.stop()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!DOCTYPE html><title>Log in</title>", "a web page"),
        (b"7z\xbc\xaf\x27\x1c" + bytes(99), "a 7z archive"),
        (bytes(5000), "nothing but zeros"),
        (gzip.compress(b"x", mtime=0), "a gzip archive"),
    ],
)
def test_what_is_none_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    folder = write_city_zips(tmp_path / "zips")
    (folder / "gtFine_trainvaltest.zip").write_bytes(content)
    with pytest.raises(DataError, match=f"gtFine_trainvaltest.zip: this is {words}.*expected a zip archive"):
        prepare("cityscapes", Request((folder,), tmp_path / "out"))
    if words == "a gzip archive":
        return
    (tmp_path / "PASCAL_MT.tgz").write_bytes(content)
    with pytest.raises(DataError, match=f"this is {words}.* not the archive"):
        prepare("pascal_context", Request((tmp_path / "PASCAL_MT.tgz",), tmp_path / "out"))


def test_cityscapes_archives_are_found_by_much_the_same_name(tmp_path: Path) -> None:
    folder = write_city_zips(tmp_path / "zips")
    (folder / "gtFine_trainvaltest.zip").rename(folder / "gtFine_trainvaltest")
    (folder / "disparity_trainvaltest.zip").rename(folder / "disparity_trainvaltest (1).zip")
    (folder / "leftImg8bit_trainvaltest.zip.part").write_bytes(b"PK\3\4 half")
    outcome = prepare("cityscapes", Request((folder,), tmp_path / "out"))
    assert outcome.counts == {"train": 2, "val": 1}
    assert len(city_files()) > 15
