"""What every preparation shares: zips, the record of what was done, the disk, the threads."""

import hashlib
import json
import shutil
import stat
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import PATIENCE
from prepare_sources import write_city_zips, write_tree, write_zip

from tabench.data.prepare import GUIDES, Request, prepare
from tabench.data.prepare.archives import FolderTree, ZipTree, safe_name
from tabench.data.prepare.manifest import describe
from tabench.data.prepare.outputs import MOST_WRONG, SPARE, run_all
from tabench.errors import DataError, SpecError, StoreError


@given(st.lists(st.sampled_from(["..", ".", "/", "a", "b c", "\\", "C:", "\0", "é"])).map("".join))
def test_a_safe_name_stays_inside(name):
    outside = name.startswith("/") or ".." in name.split("/")
    try:
        path = safe_name(name, "x.zip")
    except DataError:
        path = None
    if outside:
        assert path is None
    elif path is not None:
        assert Path("/target", path).resolve().is_relative_to("/target")


def entry(name, mode=0):
    """A member as written by somebody who means it."""
    found = zipfile.ZipInfo("x")
    found.filename, found.external_attr = name, mode << 16
    return found


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("member", "content", "message"),
    [
        (entry("/abs.png"), b"x", "is an absolute path"),
        (entry("../up.png"), b"x", "points out"),
        (entry("a/../../up.png"), b"x", "points out"),
        (entry("a\\b.png"), b"x", "has a character"),
        (entry("C:x.png"), b"x", "has a character"),
        (entry("link.png", stat.S_IFLNK | 0o777), b"/etc/passwd", "is a link or a device"),
        (entry("device.png", stat.S_IFCHR | 0o777), b"", "is a link or a device"),
        (entry("good.png"), b"x", "is there twice"),
        ("zeros", b"\0" * (8 << 20), r"unpacks to 8388608 bytes from \d+"),
    ],
    ids=lambda part: str(part)[:40],  # an id of megabytes travels to and from every worker
)
def test_unsafe_zip_members(tmp_path, member, content, message):
    path = write_zip(tmp_path / "in.zip", {"good.png": b"x"})
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)
    with pytest.raises(DataError, match=message) as caught:
        ZipTree(path)
    assert repr(getattr(member, "filename", member)) in str(caught.value)
    assert "nothing was unpacked" in str(caught.value)


def test_a_zip_that_is_encrypted_or_none(tmp_path):
    data = bytearray(write_zip(tmp_path / "in.zip", {"a": b"1"}).read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1
    (tmp_path / "locked.zip").write_bytes(bytes(data))
    with pytest.raises(DataError, match="is encrypted"):
        ZipTree(tmp_path / "locked.zip")
    (tmp_path / "none.zip").write_bytes(b"PK but no")
    with pytest.raises(DataError, match=r"(?s)not a whole zip archive.*download it again"):
        ZipTree(tmp_path / "none.zip")


def test_links_in_a_folder_are_followed_but_not_in_circles(tmp_path):
    write_tree(tmp_path / "disk", {"gtFine/a.txt": b"1"})
    folder = write_tree(tmp_path / "folder", {"b.txt": b"2"})
    (folder / "gtFine").symlink_to(tmp_path / "disk" / "gtFine")
    (folder / "circle").symlink_to(folder)
    assert FolderTree(folder).sizes == {"b.txt": 1, "gtFine/a.txt": 1}


def test_sources_are_described_by_their_bytes(tmp_path):
    folder = write_tree(tmp_path / "set", {"b/x": b"123", "a": b"4", "unused": b"5"})
    seen = []
    found = describe(
        [(folder, [folder / "b" / "x", folder / "a"]), (folder / "unused", [])],
        lambda done, total, what: seen.append((done, total)),
    )
    lines = "".join(
        f"{name}\0{hashlib.sha256(data).hexdigest()}\n" for name, data in (("a", b"4"), ("b/x", b"123"))
    )
    assert found == [
        {"name": "set/", "files": 2, "bytes": 4, "sha256": hashlib.sha256(lines.encode()).hexdigest()},
        {"name": "unused", "bytes": 1, "sha256": hashlib.sha256(b"5").hexdigest()},
    ]
    assert seen == [(3, 3), (1, 1), (1, 1)]
    with pytest.raises(DataError, match="cannot be read"):
        describe([(tmp_path / "none", [])])


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    return write_city_zips(tmp_path_factory.mktemp("zips"))


@pytest.fixture
def root(tmp_path, zips):
    prepare("cityscapes", Request((zips,), tmp_path / "out"))
    return tmp_path / "out"


def test_sums_are_those_of_the_files(root):
    lines = (root / "SHA256SUMS").read_text().splitlines()
    named = dict(reversed(line.split("  ")) for line in lines)
    files = {path.relative_to(root).as_posix(): path for path in root.rglob("*.npy")}
    assert named == {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    held = json.loads((root / "prepare.json").read_text())
    assert held["outputs"]["bytes"] == sum(path.stat().st_size for path in files.values())
    assert held["outputs"]["sha256"] == hashlib.sha256((root / "SHA256SUMS").read_bytes()).hexdigest()


def test_complete_files_are_kept_and_missing_ones_written(root, zips):
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in root.rglob("*.npy")}
    gone = root / "train" / "depth" / "1.npy"
    gone.unlink()
    sums = (root / "SHA256SUMS").read_text()
    outcome = prepare("cityscapes", Request((zips,), root))
    assert (outcome.written, outcome.kept) == (1, 14)
    assert {path: path.read_bytes() for path in before} == {path: data for path, (_, data) in before.items()}
    assert all(path.stat().st_mtime_ns == time for path, (time, _) in before.items() if path != gone)
    assert (root / "SHA256SUMS").read_text() == sums


def test_a_changed_file_is_told_and_mended(root, zips):
    sums = (root / "SHA256SUMS").read_text()
    path = root / "val" / "label_19" / "0.npy"
    path.write_bytes(path.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(DataError, match=r"changed since the folder was complete: val/label_19/0\.npy"):
        prepare("cityscapes", Request((zips,), root))
    assert (root / "SHA256SUMS").read_text() == sums
    path.unlink()
    assert prepare("cityscapes", Request((zips,), root)).written == 1
    assert (root / "SHA256SUMS").read_text() == sums


@pytest.mark.parametrize(
    ("key", "value"),
    [("parameters", {"size": [1, 1]}), ("recipe", 99), ("dataset", "x"), ("images", "0" * 64)],
)
def test_another_preparation_is_refused(root, zips, key, value):
    held = json.loads((root / "prepare.json").read_text())
    (root / "prepare.json").write_text(json.dumps({**held, key: value}))
    with pytest.raises(DataError, match=f"begun with another '{key}'"):
        prepare("cityscapes", Request((zips,), root))


def test_foreign_folders_and_torn_records(tmp_path, root, zips):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="did not write"):
        prepare("cityscapes", Request((zips,), tmp_path / "mine"))
    (root / "prepare.json").write_text("{")
    with pytest.raises(DataError, match=r"prepare\.json: not whole JSON"):
        prepare("cityscapes", Request((zips,), root))


def test_a_full_disk_is_told_before_anything_is_written(tmp_path, zips, monkeypatch):
    usage = shutil.disk_usage(tmp_path)
    needed = 3 * (7 * 128 * 256 * 4 + 5 * 128)  # three images: 3 + 1 + 1 + 1 + 1 channels, five headers
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=needed + SPARE - 1))
    with pytest.raises(StoreError, match=r"2\.8 MB are still to be written, 69\.9 MB are free"):
        prepare("cityscapes", Request((zips,), tmp_path / "a" / "b"))
    assert not (tmp_path / "a").exists()
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=needed + SPARE))
    outcome = prepare("cityscapes", Request((zips,), tmp_path / "a" / "b"))
    assert outcome.bytes == needed


def test_threads_keep_the_order_and_run_together():
    meeting = threading.Barrier(3, timeout=PATIENCE)

    def work(number):
        if number < 3:
            meeting.wait()
        return number * number

    seen = []
    found = run_all(
        work, range(20), workers=3, name=str, progress=lambda done, total, what: seen.append((done, total))
    )
    assert found == [n * n for n in range(20)]
    assert seen == [(n, 20) for n in range(1, 21)]


def test_many_wrong_ones_stop_the_rest():
    tried = []

    def work(number):
        tried.append(number)
        raise DataError("bad", where=f"image {number}", hint="mend it")

    with pytest.raises(DataError, match="cannot be used") as caught:
        run_all(work, range(1000), workers=2, name=str)
    assert len(tried) < MOST_WRONG + 8
    assert "image 0: bad" in str(caught.value)
    assert "image 7: bad" in str(caught.value)
    assert "image 8: bad" not in str(caught.value)
    assert "mend it" in str(caught.value)


def test_a_failing_disk_stops_at_once():
    tried = []

    def work(number):
        tried.append(number)
        raise StoreError("the disk is full")

    with pytest.raises(StoreError, match="full"):
        run_all(work, range(1000), workers=2, name=str)
    assert len(tried) < 10


def test_unknown_datasets(tmp_path):
    with pytest.raises(SpecError, match="no dataset 'cityscape'") as caught:
        prepare("cityscape", Request((tmp_path,), tmp_path / "out"))
    assert "did you mean 'cityscapes'?" in str(caught.value)
    assert set(GUIDES) == {"nyuv2", "cityscapes", "pascal_context"}
