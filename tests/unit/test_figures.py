"""Figures: targets that agree with each other, with geometry and with the files."""

import json

import numpy as np
import pytest
from PIL import Image
from scipy.io import loadmat

from tabench.data.pascal.classes import CLASSES_21, PART_INDEX
from tabench.worlds.camera import Camera
from tabench.worlds.figures import FIGURES, make_figure, sample_scene
from tabench.worlds.figures.render import ABSENT, CONTEXT, SHOWN, outline, salient, voc_class
from tabench.worlds.figures.settings import DECK, dealt
from tabench.worlds.surfaces import Material
from tabench.worlds.things import Scene, Thing
from tabench.worlds.tracing import trace

SIZES = {"seed": 5, "train": 3, "val": 2, "height": 24, "width": 32}


@pytest.fixture(scope="module")
def pictures():
    return [make_figure(7, "train", i, 48, 64) for i in range(40)]


def test_labels_objects_and_parts_are_one_partition(pictures):
    seen, lonely = set(), 0
    for picture in pictures:
        taken = np.zeros(picture.semseg.shape, dtype=int)
        for item in picture.objects:
            assert item.mask.any()
            taken += item.mask
            assert item.name in SHOWN
            assert set(np.unique(picture.semseg[item.mask])) <= {item.number, 255}
            assert bool(item.parts) == (item.name == "person")
            if item.parts:
                np.testing.assert_array_equal(sum(m.astype(int) for m in item.parts.values()), item.mask)
            assert picture.saliency[item.mask].all() or not picture.saliency[item.mask].any()
        assert taken.max() <= 1
        assert set(np.unique(picture.semseg[taken == 0])) <= {0, 255}
        assert (picture.semseg == 255).mean() < 0.35
        assert not (picture.saliency & (taken == 0)).any()
        parts = {PART_INDEX[part] for item in picture.objects for part in item.parts}
        seen |= parts
        lonely += not parts
    assert seen == set(PART_INDEX.values())
    assert 3 <= lonely <= 25
    shares = [picture.saliency.mean() for picture in pictures]
    assert 0.03 < np.mean(shares) < 0.5
    assert sum(share > 0.01 for share in shares) > 34


def test_what_is_large_and_near_is_salient():
    scene = Scene(np.full(3, 100.0), Camera.looking(np.array([0.0, 0.0, 1.0]), np.pi / 2, 0.0, 0.0))
    skin = Material("plain", (0.5, 0.5, 0.5))
    back = Thing("wall", 1.0, 1.0, 1.0)
    back.box((0, 50, -50), (200, 1, 100), skin)
    scene.put(back)
    assert salient(scene) == []
    for x, y, size in ((0, 5, 1.5), (1.5, 5, 1.2), (-1.5, 5, 0.3), (-3, 12, 4.0)):
        thing = Thing("car", size, size, size)
        thing.box((x, y, 1 - size / 2), (size, size, size), skin)
        scene.put(thing)
    assert salient(scene) == [1, 2]  # the third is too small beside the first, the last too far behind it


def test_outline_is_on_the_borders_alone():
    numbers = np.zeros((60, 80), dtype=np.int64)
    numbers[20:40, 30:50], numbers[20:40, 50:60] = 3, 4
    edge = outline(numbers)
    assert edge[20, 30:60].all()
    assert edge[30, 50]
    assert edge.sum() == 2 * (20 + 30) - 1 + 20 - 1  # two pixels are on two of the borders
    wide = outline(np.kron(numbers, np.ones((10, 10), dtype=np.int64)))
    assert 4 * 10 * edge.sum() < wide.sum() < 12 * 10 * edge.sum()


def test_a_few_images_show_the_seven_classes_and_no_other():
    seen = set()
    for i in range(2 * len(DECK)):
        scene = sample_scene(0, "val", i)
        assert all(piece.label.partition("/")[0] in CONTEXT for piece in scene.pieces)
        shown = np.unique(trace(scene, 18, 24).piece)
        seen |= {CLASSES_21[voc_class(scene.pieces[k].label)] for k in shown}
    assert seen == {"background", *SHOWN}
    assert set(SHOWN) | set(ABSENT) == set(CLASSES_21[1:])
    assert len(SHOWN) == 7


def test_each_subject_is_dealt_once_a_run():
    for split in ("train", "val"):
        runs = [[dealt(3, split, r * len(DECK) + k) for k in range(len(DECK))] for r in range(3)]
        assert all(sorted(map(id, run)) == sorted(map(id, DECK)) for run in runs)
        assert runs[0] != runs[1] != runs[2]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("figures") / "set"
    FIGURES.make(root, **SIZES)
    return root


@pytest.mark.parametrize(("split", "count"), [("train", 3), ("val", 2)])
def test_files_and_reader_hold_what_is_rendered(made, split, count):
    """Annotations are walked by position, as the readers of the real files do."""
    listed = json.loads((made / "ImageSets/Parts" / f"{split}.txt").read_text())
    opened = FIGURES.split(made, split)
    assert opened.ids == [f"{split}/{split}_{k:06d}" for k in range(count)]
    for index in range(count):
        name, picture = f"{split}_{index:06d}", make_figure(5, split, index, 24, 32)
        with Image.open(made / "semseg/VOC12" / f"{name}.png") as image:
            assert image.mode == "P"
            colours = np.asarray(image.convert("RGB"))
        assert {tuple(c) for c in colours[picture.semseg == 15]} <= {(192, 128, 128)}  # VOC's for people
        context = loadmat(made / "pascal-context/trainval" / f"{name}.mat")["LabelMap"]
        np.testing.assert_array_equal(context, picture.context)
        annotation = loadmat(made / "human_parts" / f"{name}.mat")["anno"][0][0]
        assert str(annotation[0][0]) == name
        assert listed[name] == [item.number for item in picture.objects]
        parts = np.zeros((24, 32), dtype=int)
        for row, item in zip(annotation[1][0], picture.objects, strict=True):
            assert (str(row[0][0]), row[1][0][0]) == (item.name, item.number)
            np.testing.assert_array_equal(row[2].astype(bool), item.mask)
            stored = {str(part[0][0]): part[1].astype(bool) for part in row[3][0]} if item.parts else {}
            assert stored.keys() == item.parts.keys()
            for part, mask in item.parts.items():
                np.testing.assert_array_equal(stored[part], mask)
                parts[mask] = PART_INDEX[part]
        sample = opened.load(index)
        np.testing.assert_allclose(sample.image.transpose(1, 2, 0) * 255, picture.image, atol=40)
        expected = np.where(picture.semseg == 255, -1, picture.semseg.astype(int))
        np.testing.assert_array_equal(sample.targets["label"], expected)
        np.testing.assert_array_equal(sample.targets["saliency"], picture.saliency)
        np.testing.assert_array_equal(sample.targets["parts"], parts if parts.any() else parts - 1)
        normal = np.moveaxis(np.asarray(sample.targets["normal"]), 0, -1)
        kept = picture.context != CONTEXT["sky"]
        np.testing.assert_array_equal((normal != 0).any(-1), kept)
        np.testing.assert_allclose(normal[kept], picture.normal[kept], atol=0.01)
