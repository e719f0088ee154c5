"""Each target of PASCAL_MT against its rule, on hand-made files in the real formats."""

import numpy as np
import pascal_folder as made
import pytest
from PIL import Image

from tabench.data.pascal import PASCAL_CONTEXT, PascalSplit
from tabench.data.pascal.classes import NORMAL_CLASSES, PART_INDEX, PARTS_7
from tabench.data.pascal.matlab import read_label_map, read_parts
from tabench.data.pascal.reading import (
    boundaries,
    read_normals,
    read_saliency,
    unless_empty,
)

# ASTMT's and MTLoRA's grouping into six, typed in from their documentation
SIX = {
    1: "hair head lear lebrow leye mouth nose rear rebrow reye",
    2: "neck torso",
    3: "luarm ruarm",
    4: "lhand llarm rhand rlarm",
    5: "luleg ruleg",
    6: "lfoot llleg rfoot rlleg",
}


def read_sample(root, name, size, normal_classes=PASCAL_CONTEXT.normal_classes):
    sample = PascalSplit(root, "train", [name], 21, size, normal_classes).load(0)
    return sample.image, sample.targets


@pytest.fixture
def root(tmp_path):
    return made.write_folder(tmp_path / "data")


def test_parts_are_grouped_as_the_field_does():
    assert {name: group for group, names in SIX.items() for name in names.split()} == PART_INDEX
    assert len(PART_INDEX) == 24
    assert len(PARTS_7) == 7


def test_the_classes_of_normals():
    ids = list(NORMAL_CLASSES.values())
    # both lists are in the alphabet's order, as PASCAL-Context's is: a slip would break it
    assert ids == sorted(set(ids))
    assert list(NORMAL_CLASSES) == sorted(NORMAL_CLASSES)
    assert 1 <= ids[0] < ids[-1] <= 459
    known = {"bed": 18, "bicycle": 23, "bottle": 34, "car": 59, "cat": 65, "chair": 72, "dog": 113}
    known |= {"person": 284, "sofa": 368, "table": 397, "tvmonitor": 427, "floor": 158, "wall": 440}
    assert known.items() <= NORMAL_CLASSES.items()
    outdoors = {"sky": 360, "grass": 187, "tree": 420, "road": 324, "water": 445, "boat": 31, "horse": 207}
    assert not set(outdoors.values()) & set(ids)


def test_normals_are_unit_vectors_or_nothing(tmp_path):
    rows = [[255, 128, 128], [128, 128, 0], [0, 0, 0], [127, 128, 128], [218, 128, 218]]
    normal = read_normals(made.save_png(tmp_path / "n.png", np.array([rows], np.uint8)))
    assert np.allclose(np.linalg.norm(normal, axis=0), [[1, 1, 0, 0, 1]], atol=1e-6)
    assert np.allclose(normal[:, 0, 0], [1, 0, 0], atol=5e-3)
    assert np.allclose(normal[:, 0, 1], [0, 0, -1], atol=5e-3)
    assert np.allclose(normal[:, 0, 4], [2**-0.5, 0, 2**-0.5], atol=5e-3)


def test_boundaries_against_loops():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (9, 11))
    expected = np.zeros(labels.shape, int)
    for y in range(9):
        for x in range(11):
            right = x + 1 < 11 and labels[y, x + 1] != labels[y, x]
            below = y + 1 < 9 and labels[y + 1, x] != labels[y, x]
            expected[y, x] = right or below
    assert np.array_equal(boundaries(labels), expected)
    straight = np.repeat([[1, 1, 2, 2]], 4, axis=0)
    assert np.array_equal(boundaries(straight), np.repeat([[0, 1, 0, 0]], 4, axis=0))


def test_later_parts_cover_earlier_ones_and_other_objects_do_not_count(tmp_path):
    whole, left = np.ones((4, 6), bool), np.zeros((4, 6), bool)
    left[:, :2] = True
    path = tmp_path / "a.mat"
    person = ("person", 15, whole, [("torso", whole), ("luarm", left)])
    made.save_anno(path, "a", [person, ("dog", 12, whole, [("head", left)])])
    assert np.array_equal(read_parts(path), np.where(left, 3, 2))
    made.save_anno(path, "a", [("dog", 12, whole, [("head", left)]), ("person", 15, whole, [])])
    assert read_parts(path) is None


def test_a_sample_against_its_files(root):
    name = made.name_of("train", 0)
    image, targets = read_sample(root, name, (20, 28))
    with Image.open(root / "JPEGImages" / f"{name}.jpg") as photo:
        assert np.array_equal(image, np.moveaxis(np.array(photo).astype(np.float32) / 255, 2, 0))
    context = read_label_map(root / "pascal-context" / "trainval" / f"{name}.mat")
    kept = np.isin(context, [440, 284])
    valid = np.any(targets["normal"] != 0, axis=0)
    assert not valid[~kept].any()
    assert not valid[1:3].any()  # stored grey and black
    assert valid[3:][kept[3:]].all()
    everything = read_sample(root, name, (20, 28), normal_classes=None)[1]["normal"]
    assert np.any(everything != 0, axis=0)[3:].all()
    assert np.array_equal(targets["edge"], boundaries(context))
    assert (targets["label"][0] == -1).all()
    assert set(np.unique(targets["parts"])) == set(range(7))


def test_everything_is_resized_alike(root):
    name = made.name_of("train", 0)
    small, large = (read_sample(root, name, size)[1] for size in ((20, 28), (60, 84)))
    for kind in ("label", "parts", "saliency"):
        assert np.array_equal(large[kind][1::3, 1::3], small[kind]), kind
    length = np.linalg.norm(large["normal"].astype(np.float64), axis=0)
    assert (np.isclose(length, 1, atol=1e-5) | (length == 0)).all()
    assert (large["edge"].sum(axis=1) <= 84).all()
    column = large["edge"][4]  # one line a pixel wide between wall and sky, at any size
    assert column.sum() == small["edge"][4].sum() == 1
    split = PASCAL_CONTEXT.split(root, "val")
    assert split.load(0).image.shape == (3, 512, 512)


def test_an_image_without_people_has_no_parts_to_learn(root):
    for index, people in ((0, True), (4, False)):
        parts = read_sample(root, made.name_of("train", index), (20, 28))[1]["parts"]
        assert (parts == -1).all() != people
    assert (unless_empty(np.zeros((2, 2), int)) == -1).all()
    one = np.array([[0, 3]])
    assert np.array_equal(unless_empty(one), one)


def test_the_index_spares_annotations_of_images_without_people(root):
    sound = PASCAL_CONTEXT.split(root, "train").load(4)
    anno = root / "human_parts" / f"{made.name_of('train', 4)}.mat"
    anno.write_bytes(b"not read")
    again = PASCAL_CONTEXT.split(root, "train").load(4)
    assert np.array_equal(again.targets["parts"], sound.targets["parts"])
    (root / "ImageSets" / "Parts" / "train.txt").unlink()
    with pytest.raises(Exception, match=anno.name):
        PASCAL_CONTEXT.split(root, "train").load(4)


def test_vocs_own_labels_win(root):
    name = made.name_of("train", 1)
    read = lambda: read_sample(root, name, (8, 8))[1]["label"]  # noqa: E731
    assert len(np.unique(read())) > 1
    made.save_png(root / "semseg" / "VOC12" / f"{name}.png", np.full((24, 24), 7, np.uint8), palette=True)
    assert (read() == 7).all()


def test_saliency_is_above_a_half(tmp_path):
    path = made.save_png(tmp_path / "sal.png", np.array([[0, 127, 128, 255]], np.uint8))
    assert np.array_equal(read_saliency(path), [[0, 0, 1, 1]])
