"""The facts that preparation builds in: the split, the class maps, the resampling."""

import hashlib

import numpy as np
import pytest
from prepare_sources import NAMES, TO_13, cells, write_class_map, write_splits

from tabench.data.nyuv2 import CLASSES_13
from tabench.data.prepare.nyu_labels import FROM_40, public_split, read_class_map, read_split
from tabench.data.prepare.nyu_labels import map_labels as map_nyu
from tabench.errors import DataError

# The 40 classes in their order, and which of the 13 each belongs to, typed from the published table.
# fmt: off
CLASSES_40 = [
    "wall:wall", "floor:floor", "cabinet:furniture", "bed:bed", "chair:chair", "sofa:sofa", "table:table",
    "door:wall", "window:window", "bookshelf:furniture", "picture:picture", "counter:furniture",
    "blinds:window", "desk:table", "shelves:furniture", "curtain:window", "dresser:furniture",
    "pillow:objects", "mirror:objects", "floor_mat:floor", "clothes:objects", "ceiling:ceiling",
    "books:books", "refrigerator:furniture", "television:tv", "paper:objects", "towel:objects",
    "shower_curtain:objects", "box:objects", "whiteboard:objects", "person:objects",
    "night_stand:furniture", "toilet:objects", "sink:objects", "lamp:objects", "bathtub:objects",
    "bag:objects", "otherstructure:objects", "otherfurniture:furniture", "otherprop:objects",
]
# fmt: on


def test_the_public_split():
    split = public_split()
    assert {name: len(numbers) for name, numbers in split.items()} == {"train": 795, "val": 654}
    assert sorted([*split["train"], *split["val"]]) == list(range(1449))
    assert split["val"][:10].tolist() == [0, 1, 8, 13, 14, 15, 16, 17, 20, 27]
    assert split["train"][:5].tolist() == [2, 3, 4, 5, 6]
    text = ",".join(map(str, split["val"].tolist()))  # of the list as it was published
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "51083af7e37cf9e6ee8bc9022fd3ebe82029c9b57a65b8a2ed5ed31d3540faa1"
    )


def test_forty_classes_to_thirteen():
    expected = [CLASSES_13.index(line.split(":")[1]) + 1 for line in CLASSES_40]
    assert list(FROM_40) == expected
    assert set(FROM_40) == set(range(1, 14))


def test_class_map_of_a_file(tmp_path):
    classes = read_class_map(write_class_map(tmp_path / "m.mat"), NAMES)
    assert classes.tolist() == [-1, *TO_13]
    labels = np.array([[0, 1], [4, 5]])
    np.testing.assert_array_equal(map_nyu(labels, classes, "x"), [[-1, TO_13[0]], [TO_13[3], TO_13[4]]])
    with pytest.raises(DataError, match=r"label 6 is outside the map's 0\.\.5") as caught:
        map_nyu(np.array([[6]]), classes, "image 7")
    assert "image 7" in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mapClass": None}, "'mapClass' is missing"),
        ({"mapClass": np.array([[1, 2, 3]])}, "maps 3 names, the labelled set has 5"),
        ({"mapClass": np.array([[1, 2, 5, 41, 22]])}, r"holds 41, expected 1\.\.40"),
        ({"mapClass": np.array([[0, 2, 5, 4, 22]])}, "holds 0, expected"),
        ({"mapClass": np.array([[1.5, 2, 5, 4, 22]])}, "not whole numbers"),
        ({"mapClass": cells(NAMES)}, "expected numbers"),
        (
            {"allClassName": cells([*NAMES[:2], "sofa", *NAMES[3:]])},
            "3 is 'sofa', the labelled set has 'chair'",
        ),
    ],
)
def test_wrong_class_maps(tmp_path, change, message):
    path = write_class_map(tmp_path / "m.mat", **change)
    with pytest.raises(DataError, match=message) as caught:
        read_class_map(path, NAMES)
    assert str(path) in str(caught.value)
    assert "classMapping40.mat" in str(caught.value)


def test_splits_files(tmp_path):
    split = read_split(write_splits(tmp_path / "s.mat", [4, 1], [3]), images=4)
    assert {name: numbers.tolist() for name, numbers in split.items()} == {"train": [0, 3], "val": [2]}
    with pytest.raises(DataError, match=r"\'testNdxs\' holds 5, expected 1\.\.4"):
        read_split(write_splits(tmp_path / "s.mat", [1], [5]), images=4)
    with pytest.raises(DataError, match="in the split twice"):
        read_split(write_splits(tmp_path / "s.mat", [1, 2], [2]), images=4)
    with pytest.raises(DataError, match="'trainNdxs' is missing"):
        read_split(write_class_map(tmp_path / "m.mat"), images=4)
