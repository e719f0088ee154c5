"""Which splits a run reads from packs, and that a pack never keeps it from running."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nyu_folder import save, write_folder
from test_pack import assert_same_bits
from tiny_run import write_scenes

from tabench.data import packs
from tabench.data.base import DatasetDef, Split
from tabench.data.nyuv2 import NYUV2
from tabench.data.pack import PackedSplit
from tabench.data.packs import Opener, check_packs, packs_root
from tabench.errors import DataError, InterruptedRunError
from tabench.store.claim import Claim
from tabench.worlds.scenes import SCENES


class Bench:
    """An opener of a small folder, and what it told."""

    def __init__(self, root: Path, dataset: DatasetDef = NYUV2) -> None:
        self.root, self.dataset = root, dataset
        self.told: list[dict[str, Any]] = []
        self.stop = False
        self.wanted: bool | None = None

    @property
    def opener(self) -> Opener:
        emit = lambda event, facts: self.told.append({"event": event, **facts})  # noqa: E731
        found = self.dataset.fingerprint(self.root)
        return Opener(self.dataset, self.root, found, self.wanted, emit, lambda: self.stop)

    def open(self, name: str = "train", wanted: bool | None = None) -> Split:
        self.wanted = wanted
        return self.opener.open(name)

    def check_packs(self) -> tuple[list[str], list[str]]:
        return check_packs(self.dataset, self.root, self.dataset.fingerprint(self.root))

    @property
    def states(self) -> list[str]:
        return [facts["state"] for facts in self.told]


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path / "cache"))
    return Bench(write_folder(tmp_path / "data", train=4))


def folder_of(split: str = "train") -> Path:
    (found,) = packs_root().glob(f"*/{split}")
    return found


def test_a_pack_is_built_once_and_then_only_opened(bench):
    first = bench.open()
    assert isinstance(first, PackedSplit)
    assert bench.states == ["building", "built"]
    assert bench.told[0]["bytes"] == pytest.approx(first.size, abs=512)
    assert isinstance(bench.open(), PackedSplit)
    assert len(bench.told) == 2
    assert_same_bits(first, NYUV2.split(bench.root, "train"))
    assert_same_bits(first, NYUV2.split(bench.root, "train"), (1, 2))
    assert [path.name for path in folder_of().parent.iterdir()] == ["train"]


def test_what_takes_too_much_of_the_disk_is_left_out_unless_asked_for(bench, monkeypatch):
    usage = shutil.disk_usage("/")._replace(free=10_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    assert not isinstance(bench.open(), PackedSplit)
    assert bench.states == ["left out"]
    assert "free; --pack" in bench.told[0]["message"]
    assert isinstance(bench.open(wanted=True), PackedSplit)
    assert isinstance(bench.open(), PackedSplit)  # what is there already takes no more


def test_a_full_disk_leaves_the_source_and_no_rest(bench, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    split = bench.open()
    assert not isinstance(split, PackedSplit)
    assert bench.states[-1] == "left out"
    assert "No space left" in bench.told[-1]["message"]
    assert not [path for path in packs_root().rglob("*") if path.is_file()]
    assert split.load(0).id == "train/0"


def test_while_another_process_builds_the_source_is_read(bench):
    bench.open()
    shutil.rmtree(folder_of())
    (home,) = packs_root().iterdir()
    bench.told.clear()
    with Claim(home / "train.claim"):
        assert not isinstance(bench.open(), PackedSplit)
        assert bench.told[0]["message"] == "another process is building it"
    assert isinstance(bench.open(), PackedSplit)


def test_a_damaged_pack_is_built_again_with_a_message(bench):
    bench.open()
    (folder_of() / "depth.npy").unlink()
    assert_same_bits(bench.open(), NYUV2.split(bench.root, "train"))
    assert bench.states == ["building", "built"] * 2
    assert "cannot be used: depth.npy" in bench.told[2]["message"]


def test_what_a_killed_builder_left_is_cleared_away(bench):
    bench.open()
    left = folder_of().with_name(".train.123-ab.tmp")
    folder_of().rename(left)
    bench.open()
    assert not left.exists()


def test_a_stop_ends_the_building(bench):
    bench.stop = True
    with pytest.raises(InterruptedRunError, match="packing 1 of 4"):
        bench.open()
    assert not [path for path in packs_root().rglob("*") if path.is_file()]


def test_a_generated_image_that_was_changed_is_noticed(tmp_path, monkeypatch):
    """The fingerprint of generated data covers its recipe alone."""
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path / "cache"))
    rooms = Bench(write_scenes(tmp_path / "rooms"), SCENES)
    rooms.open()
    path = rooms.root / "train" / "depth" / "0.npy"
    path.write_bytes((rooms.root / "train" / "depth" / "1.npy").read_bytes())
    found = rooms.open()
    assert rooms.states == ["building", "built"] * 2
    assert "another state" in rooms.told[2]["message"]
    assert_same_bits(found, SCENES.split(rooms.root, "train"))


def test_a_pack_of_other_images_than_its_files_is_built_again(bench, monkeypatch):
    """As one that was built while a cache gave the fingerprint of content before."""
    before = bench.opener.fingerprint
    path = bench.root / "train" / "depth" / "3.npy"
    whole = path.read_bytes()
    save(bench.root, "train", "depth", 3, np.ones((12, 16, 1), np.float32))
    with monkeypatch.context() as stale:
        stale.setattr(type(NYUV2), "fingerprint", lambda self, root, fresh=False: before)
        bench.open()
    path.write_bytes(whole)
    assert bench.opener.fingerprint == before
    found = bench.open()
    assert bench.states == ["building", "built"] * 2
    assert "image train/3 is not what its files hold" in bench.told[2]["message"]
    assert_same_bits(found, NYUV2.split(bench.root, "train"))
    save(bench.root, "train", "depth", 3, np.ones((12, 16, 1), np.float32))
    monkeypatch.setattr(
        type(NYUV2), "fingerprint", lambda self, root, fresh=False: "other" if fresh else before
    )
    with pytest.raises(DataError, match="changed since the run was planned: fingerprint other"):
        bench.open()


def test_data_that_changed_after_the_plan_are_refused(bench):
    opener = bench.opener
    opener.check()
    save(bench.root, "val", "depth", 0, np.ones((12, 16, 1), np.float32))
    with pytest.raises(DataError, match="changed since the run was planned"):
        opener.check()
    with pytest.raises(DataError, match="changed since the run was planned"):  # no pack of it stays
        opener.open("train")
    assert not [path for path in packs_root().rglob("*") if path.is_file()]


def test_the_full_check_removes_a_damaged_pack(bench):
    bench.open("train")
    bench.open("val")
    assert [line.split(":")[0] for line in bench.check_packs()[0]] == ["pack of train", "pack of val"]
    path = folder_of("val") / "image.npy"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    sound, removed = bench.check_packs()
    assert [line.split(":")[0] for line in sound] == ["pack of train"]
    assert "image.npy: its sha256" in removed[0]
    assert not path.parent.exists()
    assert check_packs(NYUV2, bench.root, "other") == ([], [])
    assert packs.SHARE == 0.2
