"""CityScapes from folders and zip archives with the real names."""

import json

import numpy as np
import pytest
from PIL import Image
from prepare_sources import CITY, city_files, city_shot, png, write_city_zips, write_tree

from tabench.data.prepare import Request, prepare
from tabench.errors import DataError, SpecError

IMAGE = city_shot(0)["image"]
ORDER = {"train": sorted(CITY["train"]), "val": CITY["val"]}
KINDS = ("image", "label", "label_7", "label_19", "depth")
# id -> (category, train id), the way the published evaluation scores it
TABLE = {7: (0, 0), 8: (0, 1), 11: (1, 2), 12: (1, 3), 13: (1, 4), 17: (2, 5), 19: (2, 6), 20: (2, 7)}
TABLE |= {21: (3, 8), 22: (3, 9), 23: (4, 10), 24: (5, 11), 25: (5, 12), 26: (6, 13), 27: (6, 14)}
TABLE |= {28: (6, 15), 31: (6, 16), 32: (6, 17), 33: (6, 18)}


def snapshot(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*.npy"))}


@pytest.fixture(scope="module")
def zips(tmp_path_factory):
    return write_city_zips(tmp_path_factory.mktemp("zips"))


@pytest.fixture(scope="module")
def root(tmp_path_factory, zips):
    root = tmp_path_factory.mktemp("out") / "cityscapes"
    outcome = prepare("cityscapes", Request((zips,), root, workers=2))
    assert outcome.counts == {"train": 2, "val": 1}
    assert outcome.written == 15
    return root


@pytest.mark.parametrize(("split", "number"), [("train", 0), ("train", 1), ("val", 0)])
def test_arrays_are_those_of_the_files(root, split, number):
    shot = city_shot(sum(map(ord, ORDER[split][number])))
    found = {kind: np.load(root / split / kind / f"{number}.npy") for kind in KINDS}
    small = {
        kind: np.asarray(Image.fromarray(shot[kind]).resize((256, 128), Image.Resampling.NEAREST))
        for kind in ("label", "depth")
    }
    image = Image.fromarray(shot["image"]).resize((256, 128), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(found["image"], np.asarray(image, np.float32) / np.float32(255))
    seven = [[TABLE.get(int(i), (-1, -1))[0] for i in row] for row in small["label"]]
    nineteen = [[TABLE.get(int(i), (-1, -1))[1] for i in row] for row in small["label"]]
    np.testing.assert_array_equal(found["label"], seven)
    np.testing.assert_array_equal(found["label_7"], seven)
    np.testing.assert_array_equal(found["label_19"], nineteen)
    np.testing.assert_allclose(found["depth"], small["depth"][..., None] / 65535, rtol=1e-6)
    assert found["depth"].max() <= 0.49222
    assert {array.dtype for array in found.values()} == {np.dtype("f4")}


def test_folders_and_archives_give_the_same(tmp_path, root, zips):
    folder = write_tree(tmp_path / "folder", city_files())
    prepare("cityscapes", Request((folder,), tmp_path / "a"))
    assert snapshot(tmp_path / "a") == snapshot(root)
    parts = tuple(folder / name for name in ("leftImg8bit", "gtFine", "disparity"))
    prepare("cityscapes", Request(parts, tmp_path / "b"))
    assert snapshot(tmp_path / "b") == snapshot(root)
    prepare("cityscapes", Request(tuple(sorted(zips.iterdir())), tmp_path / "c"))
    assert snapshot(tmp_path / "c") == snapshot(root)
    held = json.loads((tmp_path / "b" / "prepare.json").read_text())
    assert [(source["name"], source["files"]) for source in held["sources"]] == [
        ("leftImg8bit/", 3),
        ("gtFine/", 3),
        ("disparity/", 3),
    ]


def test_missing_counterparts_are_named(tmp_path):
    files = city_files()
    del files["disparity/val/lindau/lindau_000000_000019_disparity.png"]
    folder = write_tree(tmp_path / "in", files)
    with pytest.raises(
        DataError, match=r"1 of 3 images have no \*_disparity\.png: val/lindau_000000_000019"
    ) as e:
        prepare("cityscapes", Request((folder,), tmp_path / "out"))
    assert "disparity_trainvaltest.zip" in str(e.value)
    with pytest.raises(DataError, match="no leftImg8bit image"):
        prepare("cityscapes", Request((folder / "gtFine",), tmp_path / "out"))
    with pytest.raises(DataError, match="no such file or folder"):
        prepare("cityscapes", Request((tmp_path / "nowhere",), tmp_path / "out"))
    with pytest.raises(SpecError, match="needs a source"):
        prepare("cityscapes", Request((), tmp_path / "out"))
    assert not (tmp_path / "out").exists()


AACHEN = "aachen/aachen_000001_000019"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (f"gtFine/train/{AACHEN}_gtFine_labelIds.png", b"\x89PNG\r\n\x1a\n cut", "not a readable PNG file"),
        (f"gtFine/train/{AACHEN}_gtFine_labelIds.png", b"GIF89a", "not a PNG image"),
        (f"leftImg8bit/train/{AACHEN}_leftImg8bit.png", png(IMAGE)[:3000], "not a readable PNG.*truncated"),
        (f"gtFine/train/{AACHEN}_gtFine_labelIds.png", png(np.full((256, 512), 40, "u1")), "label id 40"),
        (f"gtFine/train/{AACHEN}_gtFine_labelIds.png", png(np.zeros((256, 256), "u1")), "256x256 pixels"),
        (f"disparity/train/{AACHEN}_disparity.png", png(np.zeros((256, 512), "u1")), "mode L, expected I;16"),
        (f"leftImg8bit/train/{AACHEN}_leftImg8bit.png", png(np.zeros((256, 512), "u1")), "expected RGB"),
    ],
)
def test_a_wrong_file_is_named_and_the_others_are_written(tmp_path, name, content, message):
    folder = write_tree(tmp_path / "in", {**city_files(), name: content})
    with pytest.raises(DataError, match=message) as caught:
        prepare("cityscapes", Request((folder,), tmp_path / "out"))
    assert name in str(caught.value)
    assert len(snapshot(tmp_path / "out")) == 10
    write_tree(folder, {name: city_files()[name]})  # a folder stays with its sources
    with pytest.raises(DataError, match="begun with another 'sources'"):
        prepare("cityscapes", Request((folder,), tmp_path / "out"))


def test_a_zip_member_with_a_wrong_checksum(tmp_path, zips):
    folder = tmp_path / "zips"
    folder.mkdir()
    for path in zips.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    path = folder / "disparity_trainvaltest.zip"
    data = bytearray(path.read_bytes())
    data[2000] ^= 0xFF
    path.write_bytes(bytes(data))
    with pytest.raises(DataError, match=r"damaged|cannot be unpacked") as caught:
        prepare("cityscapes", Request((folder,), tmp_path / "out"))
    assert "disparity_trainvaltest.zip/disparity/" in str(caught.value)
