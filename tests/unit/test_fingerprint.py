import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
from commands import call
from nyu_folder import save, write_folder

from tabench.data import fingerprint as module
from tabench.data.fingerprint import CACHE_NAME, fingerprint_files
from tabench.data.nyuv2 import NYUV2
from tabench.errors import DataError
from tabench.runs.resolve import weights_sha256
from tabench.store import file_cache


@pytest.fixture(autouse=True)
def _own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path / "user-cache"))
    monkeypatch.setattr(file_cache, "SETTLED_NS", -(10**12))  # the tests' files are younger than two seconds


@pytest.fixture
def hashed(monkeypatch):
    """Names of the files whose content is read."""
    names = []
    original = hashlib.file_digest

    def digest(handle, kind):
        names.append(handle.name)
        return original(handle, kind)

    monkeypatch.setattr(module.hashlib, "file_digest", digest)
    return names


def test_value_is_the_documented_digest(tmp_path):
    (tmp_path / "b").mkdir()
    one, two = tmp_path / "a.npy", tmp_path / "b" / "c.npy"
    one.write_bytes(b"one")
    two.write_bytes(b"two")
    lines = f"a.npy\0{hashlib.sha256(b'one').hexdigest()}\nb/c.npy\0{hashlib.sha256(b'two').hexdigest()}\n"
    assert fingerprint_files(tmp_path, [two, one]) == hashlib.sha256(lines.encode()).hexdigest()


def test_second_call_reads_no_file_and_a_changed_one_is_read_again(tmp_path, hashed):
    root = write_folder(tmp_path / "data")
    first = NYUV2.fingerprint(root)
    assert len(hashed) == 8 * 4
    hashed.clear()
    assert NYUV2.fingerprint(root) == first
    assert hashed == []
    path = save(root, "val", "depth", 1, np.ones((12, 16, 1), np.float32))
    os.utime(path, ns=(1, 1))  # clocks may be too coarse to tell the two writes apart
    assert NYUV2.fingerprint(root) != first
    assert hashed == [str(path)]


@pytest.mark.parametrize("way", ["another file in its place", "written over"])
def test_other_content_of_the_same_size_and_time_is_read_again(tmp_path, hashed, way):
    root = write_folder(tmp_path / "data")
    first = NYUV2.fingerprint(root)
    path = root / "val" / "depth" / "1.npy"
    before = path.stat()
    place = path if way == "written over" else root / "new.npy"
    while file_cache.stamp_of(path.stat()) == file_cache.stamp_of(
        before
    ):  # clocks of file systems may be coarse
        np.save(place, np.ones((12, 16, 1), np.float32))
        os.utime(place, ns=(before.st_atime_ns, before.st_mtime_ns))
        place.replace(path)
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    hashed.clear()
    assert NYUV2.fingerprint(root) != first
    assert hashed == [str(path)]


def test_verify_believes_no_cache_and_renews_it(tmp_path):
    root = write_folder(tmp_path / "data")
    first = NYUV2.fingerprint(root)
    held = json.loads((root / CACHE_NAME).read_text())
    held["val/depth/1.npy"][-1] = "0" * 64
    (root / CACHE_NAME).write_text(json.dumps(held))
    assert NYUV2.fingerprint(root) != first
    assert NYUV2.verify(root).fingerprint == first
    assert NYUV2.fingerprint(root) == first


@pytest.mark.parametrize("kind", ["exfat", "fuse.sshfs", "young"])
def test_what_may_change_unseen_is_read_again(tmp_path, monkeypatch, hashed, kind):
    """On file systems without times of change, and where a file changed just before it was read."""
    if kind == "young":
        monkeypatch.setattr(file_cache, "SETTLED_NS", 3600 * 10**9)
    else:
        monkeypatch.setattr(file_cache, "file_system", lambda folder: kind)
    root = write_folder(tmp_path / "data")
    first = NYUV2.fingerprint(root)
    hashed.clear()
    assert NYUV2.fingerprint(root) == first
    assert len(hashed) == 32


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path, monkeypatch):
    root = write_folder(tmp_path / "data")
    original = hashlib.file_digest

    def digest(handle, kind):
        os.truncate(handle.name, 7)
        return original(handle, kind)

    monkeypatch.setattr(module.hashlib, "file_digest", digest)
    with pytest.raises(DataError, match="changes while it is read"):
        NYUV2.fingerprint(root)


def test_weights_are_told_apart_in_the_same_way(tmp_path, monkeypatch):
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path / "cache"))
    path, other = tmp_path / "sam.pth", tmp_path / "other.pth"
    path.write_bytes(b"one")
    other.write_bytes(b"two")
    for file in (path, other):
        os.utime(file, ns=(5, 5))
    assert weights_sha256(path) == hashlib.sha256(b"one").hexdigest()
    assert len(list((tmp_path / "cache" / "weights").iterdir())) == 1
    other.replace(path)
    assert weights_sha256(path) == hashlib.sha256(b"two").hexdigest()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": 1}', '{"a": [1]}', '{"a": ["x", 1, 2]}'])
def test_damaged_cache_is_ignored(tmp_path, content):
    root = write_folder(tmp_path / "data")
    first = NYUV2.fingerprint(root)
    (root / CACHE_NAME).write_text(content)
    assert NYUV2.fingerprint(root) == first
    assert len(json.loads((root / CACHE_NAME).read_text())) == 32


def test_a_user_without_a_home(tmp_path, monkeypatch, capsys):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    root = write_folder(tmp_path / "data", train=1, val=1)
    (root / CACHE_NAME).mkdir()  # as on read-only data: the user's cache is next
    assert call("data", "verify", "nyuv2", f"--root={root}") == 0
    assert list((tmp_path / "user-cache" / "fingerprints").iterdir())
    monkeypatch.delenv("TABENCH_CACHE")
    assert call("data", "verify", "nyuv2", f"--root={root}") == 0
    assert "fingerprint " in capsys.readouterr().out
    assert len(weights_sha256(root / "val" / "depth" / "0.npy")) == 64
