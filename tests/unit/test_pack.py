"""Packs: the same bits as the source, whole or not at all, and never in the way of a run."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from nyu_folder import image_arrays, save, write_folder

from tabench.data import pack
from tabench.data.base import Split
from tabench.data.nyuv2 import NYUV2
from tabench.data.pack import MANIFEST, DamagedPackError, PackedSplit, Source, check_pack, forms_of, open_pack
from tabench.data.packs import UnpackableError, build_pack

SOURCE = Source("nyuv2", "abc", "train")


@pytest.fixture
def split(tmp_path: Path) -> Split:
    return NYUV2.split(write_folder(tmp_path / "data", train=4), "train")


@pytest.fixture
def folder(tmp_path: Path, split: Split) -> Path:
    place = tmp_path / "packs" / SOURCE.folder
    build_pack(place, SOURCE, split)
    return place


def opened(folder: Path, split: Split) -> PackedSplit:
    found = open_pack(folder, SOURCE, split)
    assert found is not None
    return found


def assert_same_bits(packed: Split, source: Split, draw: tuple[int, int] | None = None) -> None:
    assert packed.ids == source.ids
    assert len(packed) == len(source)
    for index in range(len(source)):
        a, b = packed.load(index, draw=draw), source.load(index, draw=draw)
        assert a.id == b.id
        assert list(a.targets) == list(b.targets)
        for one, other in [(a.image, b.image), *((a.targets[k], b.targets[k]) for k in b.targets)]:
            assert one.dtype == other.dtype
            assert one.shape == other.shape
            assert one.tobytes() == other.tobytes()


FLOATS = (
    st.floats(width=32)
    | st.sampled_from([0.0, -0.0, 1.0])
    | st.integers(0, 255).map(lambda k: float(np.float32(k) / np.float32(255)))
)


@given(
    st.sampled_from(["image", "depth", "normal"]),
    arrays(np.float32, st.tuples(st.just(1), st.integers(1, 4), st.integers(1, 4)), elements=FLOATS),
)
@settings(max_examples=200, deadline=None)
def test_every_form_gives_back_the_bits_or_refuses(kind, array):
    accepted = 0
    for form in forms_of(kind, array.dtype):
        stored = form.encode(array)
        if stored is not None:
            accepted += 1
            assert stored.dtype == form.stored
            assert form.decode(stored).tobytes() == array.tobytes()
            assert form.decode(stored).dtype == array.dtype
    assert accepted


@pytest.mark.parametrize("draw", [None, (0, 0), (3, 17)])
def test_a_pack_gives_the_same_bits_as_its_source(folder, split, draw):
    assert_same_bits(opened(folder, split), split, draw)


def test_an_image_that_needs_a_wider_form_widens_those_before_it(tmp_path):
    root = write_folder(tmp_path / "data", train=3)
    for number in (0, 1):
        bytes_ = np.random.default_rng(number).integers(0, 256, (12, 16, 3))
        save(root, "train", "image", number, (bytes_ / np.float32(255)).astype(np.float32))
    split = NYUV2.split(root, "train")
    build_pack(tmp_path / "pack", SOURCE, split)
    assert json.loads((tmp_path / "pack" / MANIFEST).read_text())["arrays"]["image"]["form"] == "same"
    assert_same_bits(opened(tmp_path / "pack", split), split)


def test_half_precision_files_take_half_the_room(tmp_path):
    split = NYUV2.split(write_folder(tmp_path / "data", train=2, dtype="float16"), "train")
    build_pack(tmp_path / "pack", SOURCE, split)
    written = json.loads((tmp_path / "pack" / MANIFEST).read_text())["arrays"]
    assert {kind: entry["stored"] for kind, entry in written.items()} == {
        "image": "float16", "label": "int8", "depth": "float16", "normal": "float16",
    }  # fmt: skip
    assert_same_bits(opened(tmp_path / "pack", split), split)


@pytest.mark.parametrize(
    "damage",
    [
        lambda f: (f / "depth.npy").unlink(),
        lambda f: (f / "depth.npy").write_bytes((f / "depth.npy").read_bytes()[:-1]),
        lambda f: (f / "depth.npy").write_bytes(b""),
        lambda f: (f / "depth.npy").write_bytes((f / "normal.npy").read_bytes()),
        lambda f: (f / MANIFEST).unlink(),
        lambda f: (f / MANIFEST).write_text("{"),
        lambda f: (f / MANIFEST).write_text("[]"),
        lambda f: (f / MANIFEST).write_text((f / MANIFEST).read_text().replace('"same"', '"other"')),
        lambda f: (f / MANIFEST).write_text((f / MANIFEST).read_text().replace('"reader": ', '"reader": 9')),
        lambda f: (f / MANIFEST).write_text((f / MANIFEST).read_text().replace('"int8"', '"object"')),
    ],
)  # fmt: skip
def test_a_damaged_pack_is_not_opened_and_can_be_built_again(folder, split, damage):
    damage(folder)
    with pytest.raises(DamagedPackError):
        open_pack(folder, SOURCE, split)
    build_pack(folder, SOURCE, split)
    assert_same_bits(opened(folder, split), split)


def test_a_pack_of_other_data_is_not_opened(folder, split, tmp_path):
    for other in (
        Source("nyuv2", "abc", "val"),
        Source("nyuv2", "abd", "train"),
        Source("nyuv2", "abc", "train", "x"),
    ):
        with pytest.raises(DamagedPackError, match=r"another (split|fingerprint|state)"):
            open_pack(folder, other, split)
    more = NYUV2.split(write_folder(tmp_path / "more", train=5), "train")
    with pytest.raises(DamagedPackError, match="another ids"):
        open_pack(folder, SOURCE, more)


def test_the_full_check_finds_a_changed_byte_that_opening_does_not(folder, split):
    assert check_pack(folder) == opened(folder, split).size
    path = folder / "depth.npy"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    opened(folder, split)
    with pytest.raises(DamagedPackError, match=r"depth.npy: its sha256"):
        check_pack(folder)


def test_images_of_different_size_are_not_packed(tmp_path):
    root = write_folder(tmp_path / "data", train=2)
    for kind, array in image_arrays(9, height=10).items():
        save(root, "train", kind, 2, array)
    with pytest.raises(UnpackableError, match="train/2: images differ in size"):
        build_pack(tmp_path / "packs" / "pack", SOURCE, NYUV2.split(root, "train"))
    assert list((tmp_path / "packs").iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self/smaps").is_file(), reason="counts pages as Linux tells them")
def test_a_process_keeps_few_pages_of_a_pack(tmp_path, monkeypatch):
    split = NYUV2.split(write_folder(tmp_path / "data", train=12, height=128, width=128), "train")
    build_pack(tmp_path / "pack", SOURCE, split)
    for resident, most in ((2**40, None), (2**20, 2**21)):
        monkeypatch.setattr(pack, "RESIDENT", resident)
        packed = opened(tmp_path / "pack", split)
        first = packed.load(0)
        assert_same_bits(packed, split)
        mapped = mapped_bytes(tmp_path / "pack")
        assert mapped > 0.9 * packed.size if most is None else mapped < most
        assert first.targets["normal"].tobytes() == split.load(0).targets["normal"].tobytes()
        del packed, first


def mapped_bytes(folder: Path) -> int:
    """Resident bytes of a folder's files in this process."""
    total, ours = 0, False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        if "-" in line.split(" ")[0]:
            ours = str(folder) in line
        elif ours and line.startswith("Rss:"):
            total += 1024 * int(line.split()[1])
    return total


def test_images_of_bytes_are_stored_as_bytes_and_others_are_not():
    k = np.arange(256, dtype=np.float32).reshape(1, 16, 16)
    unit, *_ = forms_of("image", k.dtype)
    stored = unit.encode(k / np.float32(255))
    assert stored is not None
    assert np.array_equal(stored, k.astype(np.uint8))
    assert unit.encode(k / np.float32(254)) is None
    assert unit.encode(np.full((1, 1, 1), -0.0, np.float32)) is None
