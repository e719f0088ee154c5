"""CityScapes' folders: which labels are read, what is refused, splits, verification."""

import numpy as np
import pytest
from nyu_folder import save
from street_folder import street_arrays, write_streets

from tabench.data.cityscapes import CITYSCAPES, CITYSCAPES_2, CITYSCAPES_19
from tabench.data.draws import training_part
from tabench.errors import DataError, SpecError


def test_arrays_come_as_image_label_and_disparity(tmp_path):
    stored = street_arrays(1002)
    sample = CITYSCAPES.split(write_streets(tmp_path), "val").load(2)
    assert sample.id == "val/2"
    assert set(sample.targets) == {"label", "disparity"}
    np.testing.assert_array_equal(sample.image, np.moveaxis(stored["image"], 2, 0))
    np.testing.assert_array_equal(sample.targets["label"], stored["label"])
    np.testing.assert_array_equal(sample.targets["disparity"], stored["depth"].transpose(2, 0, 1))


def test_label_7_goes_before_label_and_either_is_enough(tmp_path):
    only = write_streets(tmp_path / "only", labels="label")
    both = write_streets(tmp_path / "both", labels="label_7")
    for part, count in (("train", 5), ("val", 3)):
        for number in range(count):
            save(both, part, "label", number, np.full((12, 24), 99.0))
    a, b = (CITYSCAPES.split(root, "train").load(0) for root in (only, both))
    np.testing.assert_array_equal(a.targets["label"], b.targets["label"])


def test_train_and_val_never_take_labels_of_different_folders(tmp_path):
    root = write_streets(tmp_path, labels="label")
    save(root, "val", "label_7", 0, street_arrays(0)["label"])
    with pytest.raises(DataError, match="label_7: folder not found"):
        CITYSCAPES.split(root, "train")
    with pytest.raises(DataError, match="2 of 3 images are incomplete: val/1 lacks label_7"):
        CITYSCAPES.split(root, "val")


@pytest.mark.parametrize(
    ("dataset", "folder", "classes"), [(CITYSCAPES_19, "label_19", 19), (CITYSCAPES_2, "label_2", 2)]
)
def test_other_class_counts_read_their_own_folder_and_nothing_else(tmp_path, dataset, folder, classes):
    seven = write_streets(tmp_path / "seven", labels="label_7")
    with pytest.raises(DataError, match=f"{folder}: folder not found") as caught:
        dataset.split(seven, "train")
    assert folder in caught.value.hint
    root = write_streets(tmp_path / "own", labels=folder, classes=classes)
    labels = np.concatenate([dataset.split(root, "train").load(i).targets["label"].ravel() for i in range(5)])
    assert set(np.unique(labels)) == set(range(-1, classes))
    save(root, "train", folder, 0, np.full((12, 24), float(classes)))
    with pytest.raises(DataError, match=rf"labels {classes} outside -1\.\.{classes - 1}"):
        dataset.split(root, "train").load(0)


def test_without_label_2_the_two_classes_are_refused_not_invented(tmp_path):
    with pytest.raises(DataError, match="not derived from label_7") as caught:
        CITYSCAPES_2.split(write_streets(tmp_path), "val")
    assert "`tabench data prepare cityscapes --from FOLDER --root ROOT`" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("depth", street_arrays(0)["depth"] - 0.5, r"negative disparity -0\.5 \(0 marks"),
        ("depth", np.full((12, 24, 1), np.nan), "288 values are NaN"),
        ("depth", np.zeros((12, 24)), r"shape \(12, 24\), expected \(H, W, 1\)"),
        ("depth", np.zeros((12, 24, 1), np.uint16), "dtype uint16, expected a float"),
        ("label_7", np.full((12, 24), 255.0), r"labels 255 outside -1\.\.6"),
        ("image", np.zeros((12, 23, 3)), "sizes differ: image 12x23, label 12x24, disparity 12x24"),
    ],
)
def test_wrong_content_is_named_by_reader_and_verification(tmp_path, name, array, words):
    root = write_streets(tmp_path, train=2)
    path = save(root, "train", name, 1, array)
    with pytest.raises(DataError, match=words) as caught:
        CITYSCAPES.split(root, "train").load(1)
    assert str(path.parent.parent) in str(caught.value)
    report = CITYSCAPES.verify(root)
    assert len(report.problems) == 1
    assert report.fingerprint == ""


def test_more_disparity_than_published_or_none_is_a_warning(tmp_path):
    root = write_streets(tmp_path)
    save(root, "val", "depth", 0, np.full((12, 24, 1), 0.4922, np.float32))
    assert not any("disparity up to" in line for line in CITYSCAPES.verify(root).warnings)
    save(root, "val", "depth", 0, np.full((12, 24, 1), 0.6, np.float32))
    assert "val: disparity up to 0.6, published is 0.4922: another scale?" in CITYSCAPES.verify(root).warnings
    empty = write_streets(tmp_path / "empty", train=1, val=1)
    for part in ("train", "val"):
        save(empty, part, "depth", 0, np.zeros((12, 24, 1), np.float32))
    report = CITYSCAPES.verify(empty)
    assert report.problems == []
    assert "train: no image has a valid pixel of 'disparity'" in report.warnings


def test_the_fingerprint_covers_the_labels_that_are_read(tmp_path):
    root = write_streets(tmp_path)
    write_streets(root, labels="label_19", classes=19)
    seven, nineteen = CITYSCAPES.fingerprint(root), CITYSCAPES_19.fingerprint(root)
    assert seven != nineteen
    save(root, "train", "label_19", 0, np.zeros((12, 24)))
    assert CITYSCAPES.fingerprint(root) == seven
    assert CITYSCAPES_19.fingerprint(root) != nineteen


def test_2975_images_split_into_2380_and_595(tmp_path, monkeypatch):
    listed = "tabench.data.array_dataset.list_images"
    monkeypatch.setattr(listed, lambda *_, **__: list(range(2975)))
    kept, held = (CITYSCAPES.split(tmp_path, part).ids for part in ("train-fit", "train-select"))
    assert (len(kept), len(held)) == (2380, 595)
    assert set(kept) | set(held) == set(CITYSCAPES.split(tmp_path, "train").ids)
    assert sorted(int(name.split("/")[1]) for name in kept) == sorted(training_part(2975).tolist())
    with pytest.raises(SpecError, match="did you mean 'train-select'"):
        CITYSCAPES.split(tmp_path, "train-selec")
