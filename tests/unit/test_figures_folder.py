"""Folders of figures: PASCAL_MT's layout and verification."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from tabench.catalog import DATASETS
from tabench.data.pascal.classes import PART_INDEX, voc_palette
from tabench.worlds.figures import FIGURES, make_figure
from tabench.worlds.figures.names import CONTEXT

SIZES = {"seed": 5, "train": 3, "val": 2, "height": 24, "width": 32}
FILES = {
    "JPEGImages": "jpg",
    "semseg/VOC12": "png",
    "human_parts": "mat",
    "normals_distill": "png",
    "sal_distill": "png",
    "pascal-context/trainval": "mat",
}


def make(root, progress=None, **sizes):
    FIGURES.make(root, progress=progress, **sizes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("figures") / "set"
    make(root, **SIZES)
    return root


@pytest.fixture
def root(tmp_path):
    make(tmp_path / "set", **SIZES)
    return tmp_path / "set"


def snapshot(root):
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def read(root, folder, name):
    return np.asarray(Image.open(root / folder / f"{name}.{FILES[folder]}"))


def test_the_layout_is_pascals(made):
    names = [f"train_00000{k}" for k in range(3)] + [f"val_00000{k}" for k in range(2)]
    expected = {f"{folder}/{name}.{end}" for folder, end in FILES.items() for name in names}
    lists = {f"ImageSets/{kind}/{split}.txt" for kind in ("Context", "Parts") for split in ("train", "val")}
    assert set(snapshot(made)) == expected | lists | {"figures.json"}
    assert (made / "ImageSets/Context/val.txt").read_text() == "val_000000\nval_000001\n"


@pytest.mark.parametrize(("split", "index"), [("train", 1), ("val", 1)])
def test_files_hold_what_make_figure_returns(made, split, index):
    name, picture = f"{split}_{index:06d}", make_figure(5, split, index, 24, 32)
    with Image.open(made / "JPEGImages" / f"{name}.jpg") as image:
        assert (image.mode, image.size) == ("RGB", (32, 24))
        assert np.abs(np.asarray(image).astype(int) - picture.image.astype(int)).mean() < 3
    with Image.open(made / "semseg/VOC12" / f"{name}.png") as image:
        assert image.mode == "P"
        np.testing.assert_array_equal(np.asarray(image), picture.semseg)
        colours = np.asarray(image.convert("RGB"))
    person = np.argwhere(picture.semseg == 15)
    if len(person):
        assert colours[tuple(person[0])].tolist() == [192, 128, 128]
    saliency = read(made, "sal_distill", name)
    assert saliency.dtype == np.uint8
    np.testing.assert_array_equal(saliency / 255 > 0.5, picture.saliency)
    assert set(np.unique(saliency)) <= {0, 255}
    normal = read(made, "normals_distill", name) / 255 * 2 - 1
    assert np.abs(normal - picture.normal).max() <= 1 / 255 + 1e-9
    context = loadmat(made / "pascal-context/trainval" / f"{name}.mat")["LabelMap"]
    np.testing.assert_array_equal(context, picture.context)


def test_annotations_nest_as_pascal_parts_do(made):
    """Walked by position, as the readers of the real files do."""
    people = 0
    for split, count in (("train", 3), ("val", 2)):
        listed = json.loads((made / "ImageSets/Parts" / f"{split}.txt").read_text())
        for index in range(count):
            name, picture = f"{split}_{index:06d}", make_figure(5, split, index, 24, 32)
            annotation = loadmat(made / "human_parts" / f"{name}.mat")["anno"][0][0]
            assert str(annotation[0][0]) == name
            rows = annotation[1][0]
            assert len(rows) == len(picture.objects)
            for row, item in zip(rows, picture.objects, strict=True):
                assert str(row[0][0]) == item.name
                assert row[1][0][0] == item.number
                np.testing.assert_array_equal(row[2].astype(bool), item.mask)
                if not item.parts:
                    assert len(row[3]) == 0
                    continue
                people += 1
                assert [str(part[0][0]) for part in row[3][0]] == list(item.parts)
                for part in row[3][0]:
                    np.testing.assert_array_equal(part[1].astype(bool), item.parts[str(part[0][0])])
            assert listed[name] == [item.number for item in picture.objects]
    assert people >= 2


def test_the_reader_sees_what_was_rendered(made):
    people = 0
    for split, count in (("train", 3), ("val", 2)):
        opened = FIGURES.split(made, split)
        assert opened.ids == [f"{split}/{split}_{k:06d}" for k in range(count)]
        for index in range(count):
            picture, sample = make_figure(5, split, index, 24, 32), opened.load(index)
            np.testing.assert_allclose(sample.image.transpose(1, 2, 0) * 255, picture.image, atol=40)
            expected = np.where(picture.semseg == 255, -1, picture.semseg.astype(int))
            np.testing.assert_array_equal(sample.targets["label"], expected)
            np.testing.assert_array_equal(sample.targets["saliency"], picture.saliency)
            parts = np.zeros((24, 32), dtype=int)
            for item in picture.objects:
                for name, mask in item.parts.items():
                    parts[mask] = PART_INDEX[name]
            people += parts.any()
            np.testing.assert_array_equal(sample.targets["parts"], parts if parts.any() else parts - 1)
            normal = np.moveaxis(np.asarray(sample.targets["normal"]), 0, -1)
            kept = picture.context != CONTEXT["sky"]
            np.testing.assert_array_equal((normal != 0).any(-1), kept)
            assert kept.any()
            np.testing.assert_allclose(normal[kept], picture.normal[kept], atol=0.01)
    assert 0 < people < 5


def test_the_palette_is_vocs():
    colours = voc_palette()
    assert colours[:4].tolist() == [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]]
    assert colours[15].tolist() == [192, 128, 128]
    assert colours[255].tolist() == [224, 224, 192]
    assert len({tuple(colour) for colour in colours.tolist()}) == 256


def test_verify_compares_with_the_renderer(root):
    assert DATASETS.get("figures") is FIGURES
    report = FIGURES.verify(root)
    assert (report.problems, report.warnings) == ([], [])
    assert report.counts == {"train": 3, "val": 2}
    assert report.fingerprint == FIGURES.fingerprint(root) == FIGURES.recipe_fingerprint(**SIZES)
    path = root / "sal_distill" / "val_000001.png"
    Image.fromarray(255 - np.asarray(Image.open(path))).save(path)
    other = root / "JPEGImages" / "train_000000.jpg"
    Image.fromarray(np.asarray(Image.open(other))[::-1]).save(other)
    report = FIGURES.verify(root)
    assert [str(path) in line or str(other) in line for line in report.problems] == [True, True]
    assert report.fingerprint == ""


def test_parts_of_other_people_are_noticed(root):
    path = root / "human_parts" / "train_000000.mat"
    path.write_bytes((root / "human_parts" / "train_000001.mat").read_bytes())
    assert any(str(path) in line for line in FIGURES.verify(root).problems)
