"""An artifact's archive: the same bytes for the same files, and a check that trusts nothing."""

from __future__ import annotations

import hashlib
import io
import json
import os
import stat
import tempfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_fixtures import record

from tabench.artifact.archive import SUMS, Member, is_safe, write_artifact
from tabench.artifact.check import check_artifact
from tabench.errors import StoreError

RECORD = record("ta-lora", 0)
NAME = f"results/nyuv2/{RECORD['cell_id']}/record.json"
MEMBERS = {"b.txt": b"two", "a/x.png": b"\x89PNG", NAME: json.dumps(RECORD).encode(), "empty": b""}


def members() -> list[Member]:
    return [Member(name, content) for name, content in MEMBERS.items()]


def sums(files: dict[str, bytes]) -> bytes:
    """The list of sums, written independently of the package."""
    return "".join(f"{hashlib.sha256(c).hexdigest()}  {n}\n" for n, c in sorted(files.items())).encode()


def test_a_zip_holds_every_file_its_sum_and_fixed_times(tmp_path: Path) -> None:
    path = write_artifact(members(), tmp_path / "deep" / "a.zip")
    for n, name in enumerate(reversed(MEMBERS)):  # in another order, out of files with times of their own
        copied = tmp_path / "files" / name
        copied.parent.mkdir(parents=True, exist_ok=True)
        copied.write_bytes(MEMBERS[name])
        os.utime(copied, (n, n))
    copies = [Member(name, tmp_path / "files" / name) for name in reversed(MEMBERS)]
    assert write_artifact(copies, tmp_path / "b.zip").read_bytes() == path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        infos = archive.infolist()
        assert [info.filename for info in infos] == [*sorted(MEMBERS), SUMS]
        assert {info.date_time for info in infos} == {(1980, 1, 1, 0, 0, 0)}
        assert all(stat.S_ISREG(info.external_attr >> 16) for info in infos)
        assert {name: archive.read(name) for name in MEMBERS} == MEMBERS
        assert archive.read(SUMS) == sums(MEMBERS)


def unpacked(folder: Path) -> Path:
    with zipfile.ZipFile(write_artifact(members(), folder / "a.zip")) as archive:
        archive.extractall(folder / "artifact")
    return folder / "artifact"


def test_a_large_file_is_never_held_in_memory(tmp_path: Path) -> None:
    large = tmp_path / "large.bin"
    with large.open("wb") as file:
        file.truncate(64 << 20)
    tracemalloc.start()
    write_artifact([Member("large.bin", large)], tmp_path / "a.zip")
    assert check_artifact(tmp_path / "a.zip").files == 1
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.parametrize(
    "name", ["../x", "/x", "a/../b", "a\\b", "C:x", "", ".", "a//b", "a/./b", "x\n", "a?"]
)
def test_unsafe_names_are_neither_written_nor_accepted(name: str, tmp_path: Path) -> None:
    assert not is_safe(name)
    with pytest.raises(StoreError, match="cannot be the name"):
        write_artifact([Member(name, b"")], tmp_path / "a.zip")
    assert list(tmp_path.iterdir()) == []


@given(st.text(max_size=12))
def test_a_safe_name_stays_in_its_folder(name: str) -> None:
    if is_safe(name):
        root = Path("/somewhere/deep")
        assert Path(os.path.normpath(root / name)).is_relative_to(root)
        assert Path(os.path.normpath(root / name)) != root


def packed(entries: list[tuple[zipfile.ZipInfo | str, bytes]]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for info, content in entries:
            archive.writestr(info, content)
    return buffer.getvalue()


def problems(files: dict[str, bytes], extra: list[tuple[zipfile.ZipInfo | str, bytes]] | None = None,
             listed: dict[str, bytes] | None = None) -> list[str]:  # fmt: skip
    """What the check says of a zip made here, outside the package."""
    entries = [*files.items(), (SUMS, sums(listed if listed is not None else files)), *(extra or [])]
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "a.zip"
        path.write_bytes(packed(entries))
        return said(check_artifact(path).problems)


def said(problems: list[str]) -> list[str]:
    """What is wrong, without what to do about it, which each must say."""
    assert all(line.partition(" -> ")[2] for line in problems)
    return [line.partition(" -> ")[0] for line in problems]


def test_every_change_is_found() -> None:
    assert problems({**MEMBERS, "b.txt": b"TWO"}, listed=MEMBERS) == [
        "b.txt: has changed (its sha256 is not the listed one)"
    ]
    assert problems(MEMBERS, listed={**MEMBERS, "c": b""}) == ["c: is listed but missing"]
    assert problems(MEMBERS, [("c", b"")]) == ["c: is not listed in SHA256SUMS"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"deadbeef  b.txt\n", "a line is no sum: 'deadbeef  b.txt'"),
        (b"0" * 64 + b"  ../../etc/passwd\n", "lists '../../etc/passwd', which leads out of the folder"),
        (b"0" * 64 + b"  b.txt\n", "lists 'b.txt' twice"),
        (b"0" * (64 << 20), f"a line is no sum: '{'0' * 80}'"),
    ],
    ids=["no-sum", "outside", "twice", "endless"],
)
def test_a_list_of_sums_that_is_none_is_told(line: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(packed([*MEMBERS.items(), (SUMS, sums(MEMBERS) + line)]))
    assert said(check_artifact(tmp_path / "a.zip").problems) == [f"SHA256SUMS: {message}"]


def test_hostile_names_and_links_are_found() -> None:
    link = zipfile.ZipInfo("link")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    found = problems(MEMBERS, [("../../evil", b""), ("/etc/evil", b""), (link, b"/etc/passwd")])
    assert len(found) == 3
    assert all("leads out" in line for line in found[:2])
    assert found[2] == "link: is no plain file"
    with pytest.warns(UserWarning, match="Duplicate"):
        twice = problems(MEMBERS, [("b.txt", b"two")])
    assert twice == ["b.txt: is there twice"]


def test_links_in_an_unpacked_folder_are_found(tmp_path: Path) -> None:
    out = unpacked(tmp_path)
    (out / "secret").symlink_to("/etc/passwd")
    (out / "results" / "nyuv2" / ".index.json").write_text("{}")  # left by `plan`: derived, not packed
    assert said(check_artifact(out).problems) == ["secret: is a link"]


def test_records_are_checked_with_the_sums() -> None:
    assert "no valid record" in problems({**MEMBERS, NAME: b"{}"})[0]
    other = NAME.replace(RECORD["cell_id"], "0123456789abcdef")
    assert "holds the record of cell" in problems({other: MEMBERS[NAME]})[0]


@pytest.mark.parametrize("content", [b"", b"no zip", packed([("a", b"")])], ids=["empty", "text", "other"])
def test_other_files_are_no_artifacts(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    with pytest.raises(StoreError, match=r"a\.zip"):
        check_artifact(tmp_path / "a.zip")


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_byte_never_passes_unseen_as_another_file(position: int, change: int) -> None:
    """Either the sums catch it, or what is unpacked is what was packed (a byte of padding or of a time)."""
    with tempfile.TemporaryDirectory() as place:
        path = write_artifact(members(), Path(place) / "a.zip")
        content = bytearray(path.read_bytes())
        content[position % len(content)] ^= change
        path.write_bytes(content)
        try:
            found = check_artifact(path)
        except StoreError:
            return
        if not found.problems:
            with zipfile.ZipFile(path) as archive:
                assert {n: archive.read(n) for n in MEMBERS} == MEMBERS
