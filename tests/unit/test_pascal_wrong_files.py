"""Wrong, damaged and hostile files of PASCAL_MT: one clear error that names the file."""

import json
import shutil
import struct
import zlib

import numpy as np
import pascal_folder as made
import pytest
from mat_files import save_mat

from tabench.data.pascal import PASCAL_CONTEXT
from tabench.data.pascal.files import names_of
from tabench.errors import DataError

NAME = made.name_of("train", 0)
PLACES = {
    "photo": f"JPEGImages/{NAME}.jpg",
    "label": f"semseg/VOC12/{NAME}.png",
    "parts": f"human_parts/{NAME}.mat",
    "normal": f"normals_distill/{NAME}.png",
    "saliency": f"sal_distill/{NAME}.png",
    "context": f"pascal-context/trainval/{NAME}.mat",
}


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    return made.write_folder(tmp_path_factory.mktemp("sound"), train=2)


@pytest.fixture
def root(sound, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return shutil.copytree(sound, tmp_path / "data")


def refused(root, path, match=None):
    """Load and verify both say which file is wrong; nothing else is raised."""
    with pytest.raises(DataError, match=match) as caught:
        PASCAL_CONTEXT.split(root, "train").load(0)
    assert str(path) in str(caught.value)
    problems = PASCAL_CONTEXT.verify(root).problems
    assert len(problems) == 1
    assert str(path) in problems[0]


@pytest.mark.parametrize("kind", PLACES)
@pytest.mark.parametrize("damage", ["truncated", "garbage", "empty", "text"])
def test_a_damaged_file_is_named(root, kind, damage):
    path = root / PLACES[kind]
    data = path.read_bytes()
    noise = np.random.default_rng(0).bytes(len(data) // 2)
    half = len(data) // 2
    path.write_bytes(
        {"truncated": data[:half], "garbage": data[:half] + noise, "empty": b"", "text": b"<html>"}[damage]
    )
    if kind == "photo" and damage == "garbage":
        pytest.skip("JPEG decodes any bytes behind a sound header")
    refused(root, path)


def test_a_decompression_bomb_is_not_decoded(root):
    path = root / PLACES["saliency"]

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    for side in (5000, 12000, 60000):  # above the reader's limit, Pillow's warning and Pillow's error
        header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
        body = chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + body + chunk(b"IEND", b""))
        refused(root, path, "not a file of the dataset")


@pytest.mark.parametrize(
    ("kind", "content", "match"),
    [
        ("label", np.full((20, 28), 21, np.uint8), "labels 21"),
        ("label", np.full((20, 28, 3), [9, 8, 7], np.uint8), r"colour \(9, 8, 7\)"),
        ("saliency", np.eye(20, 28, dtype=np.uint8), "0 and 1 of 255"),
        ("saliency", np.full((20, 28, 3), [128, 0, 0], np.uint8), "not grey"),
        ("label", np.zeros((20, 27), np.uint8), "20x27"),
        ("normal", np.zeros((20, 28), np.uint8), "expected RGB"),
    ],
)
def test_png_files_of_wrong_content(root, kind, content, match):
    path = made.save_png(root / PLACES[kind], content)
    if match == "20x27":
        with pytest.raises(DataError, match=match):
            PASCAL_CONTEXT.split(root, "train").load(0)
        assert [str(path) in problem for problem in PASCAL_CONTEXT.verify(root).problems] == [True]
    else:
        refused(root, path, match)


def test_mat_files_of_wrong_content(root):
    whole = np.ones((20, 28), bool)
    context, parts = root / PLACES["context"], root / PLACES["parts"]
    sound = context.read_bytes()
    for held, match in (
        ({"Labels": np.ones((20, 28))}, "no variable 'LabelMap'"),
        ({"LabelMap": np.full((20, 28), 460)}, "460"),
        ({"LabelMap": np.full((20, 28), 1.5)}, "whole"),
        ({"LabelMap": np.ones((20, 20))}, "20x20"),
        ({"LabelMap": "text"}, "LabelMap of shape"),
        ({"LabelMap": np.full((20, 28), np.nan)}, "whole"),
    ):
        save_mat(context, held)
        refused(root, context, match)
    context.write_bytes(sound)
    for objects, match in (
        ([("person", 15, whole, [("wing", whole)])], "wing"),
        ([("person", 15, whole, [("head", whole[:, :5])])], "20x5"),
    ):
        made.save_anno(parts, NAME, objects)
        refused(root, parts, match)
    for held, match in (
        ({"anno": np.ones((2, 2))}, "4 structs"),
        ({"anno": {"imname": NAME}}, "no field 'objects'"),
        ({"anno": {"objects": np.array([1.0])}}, "no struct"),
        ({"other": 1}, "no variable 'anno'"),
    ):
        save_mat(parts, held)
        refused(root, parts, match)


def test_lists_that_cannot_be(root):
    path = root / "ImageSets" / "Context" / "train.txt"
    names = path.read_text()
    for text, match in (
        ("", "names no image"),
        (names + NAME + "\n", "listed twice"),
        ("../../etc/passwd\n", "not an image's name"),
    ):
        path.write_text(text)
        with pytest.raises(DataError, match=match) as caught:
            PASCAL_CONTEXT.split(root, "train")
        assert str(path) in str(caught.value)
        assert any(str(path) in problem for problem in PASCAL_CONTEXT.verify(root).problems)
    path.write_text((root / "ImageSets" / "Context" / "val.txt").read_text())
    assert any("in both lists" in problem for problem in PASCAL_CONTEXT.verify(root).problems)
    with pytest.raises(DataError, match="2 images are in both lists: 2010_000000, 2010_000001"):
        PASCAL_CONTEXT.split(root, "train")


def test_a_byte_order_mark_is_no_part_of_a_name(root):
    ids = PASCAL_CONTEXT.split(root, "train").ids
    for folder in ("Context", "Parts"):
        path = root / "ImageSets" / folder / "train.txt"
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert PASCAL_CONTEXT.split(root, "train").ids == ids
    assert names_of("2008_000002\r\n2008_000003\r\n", "", "") == ["2008_000002", "2008_000003"]


def test_an_index_that_is_none(root):
    path = root / "ImageSets" / "Parts" / "train.txt"
    for text in ("[1]", '{"a": ["b"]}', "{", '{"a": [true]}'):
        path.write_text(text)
        with pytest.raises(DataError, match="index") as caught:
            PASCAL_CONTEXT.split(root, "train")
        assert str(path) in str(caught.value)
        assert caught.value.hint == "delete it: it is optional"


def test_missing_files_are_counted_and_named(root):
    for kind in ("photo", "parts", "context"):
        (root / PLACES[kind]).unlink()
    with pytest.raises(DataError, match="1 of 2 images are incomplete") as caught:
        PASCAL_CONTEXT.split(root, "train")
    assert f"train/{NAME} lacks image, parts, context" in str(caught.value)
    with pytest.raises(DataError, match="incomplete"):
        PASCAL_CONTEXT.fingerprint(root)


def test_verify_counts_what_the_folder_holds(root):
    report = PASCAL_CONTEXT.verify(root)
    assert report.problems == []
    assert report.warnings == [
        "train: 2 images, published are 4998",
        "val: 2 images, published are 5105",
    ]
    index = root / "ImageSets" / "Parts" / "val.txt"
    index.write_text(json.dumps({made.name_of("val", 0): [12]}))
    assert PASCAL_CONTEXT.fingerprint(root) != report.fingerprint
