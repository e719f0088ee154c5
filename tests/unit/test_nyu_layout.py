import numpy as np
import pytest
from nyu_folder import image_arrays, save, write_folder

from tabench.data.array_folders import list_images
from tabench.data.draws import training_part
from tabench.data.nyuv2 import NYUV2
from tabench.errors import DataError


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_come_channels_first_with_the_stored_values(tmp_path, dtype):
    root = write_folder(tmp_path, dtype=dtype)
    stored = image_arrays(1002, dtype=dtype)
    sample = NYUV2.split(root, "val").load(2)
    assert sample.id == "val/2"
    assert sample.image.shape == (3, 12, 16)
    assert sample.image.dtype == np.float32
    np.testing.assert_array_equal(sample.image, np.moveaxis(stored["image"], 2, 0).astype(np.float32))
    assert sample.targets["label"].dtype == np.int64
    np.testing.assert_array_equal(sample.targets["label"], stored["label"])
    np.testing.assert_array_equal(sample.targets["depth"][0], stored["depth"][..., 0].astype(np.float32))
    np.testing.assert_array_equal(
        sample.targets["normal"], np.moveaxis(stored["normal"], 2, 0).astype(np.float32)
    )


def test_numbers_are_sorted_as_numbers_and_other_files_ignored(tmp_path):
    root = write_folder(tmp_path, train=12)
    (root / "train" / "image" / "._3.npy").write_bytes(b"x")
    (root / "train" / "label" / "4.npy.part").write_bytes(b"x")
    assert list_images(root, "train", NYUV2.folders(root), hint="") == list(range(12))
    assert NYUV2.split(root, "train").ids[9:] == ["train/9", "train/10", "train/11"]


def test_missing_folder_says_where_to_download(tmp_path):
    with pytest.raises(DataError, match=r"(?s)train/image: folder not found.*lorenmt/mtan"):
        NYUV2.split(tmp_path, "train")


def test_half_downloaded_lists_which_image_lacks_what(tmp_path):
    root = write_folder(tmp_path, train=20)
    (root / "train" / "depth" / "3.npy").unlink()
    (root / "train" / "normal" / "3.npy").unlink()
    (root / "train" / "image" / "11.npy").unlink()
    with pytest.raises(DataError) as caught:
        NYUV2.split(root, "train")
    assert "2 of 20 images are incomplete: train/3 lacks depth, normal; train/11 lacks image" in str(
        caught.value
    )
    for number in range(20):
        (root / "train" / "label" / f"{number}.npy").unlink()
    with pytest.raises(DataError, match=r"20 of 20 .*; and 12 more"):
        NYUV2.split(root, "train")


ARRAYS = image_arrays(0)


@pytest.mark.parametrize(
    ("kind", "array", "words"),
    [
        ("image", np.zeros((3, 12, 16), np.float32), r"shape \(3, 12, 16\), expected \(H, W, 3\)"),
        ("image", np.zeros((12, 16, 3), np.uint8), "divide 0..255 images by 255"),
        ("label", np.zeros((12, 16, 1)), r"expected \(H, W\)"),
        ("label", np.zeros((12, 16), complex), "dtype complex128"),
        ("depth", ARRAYS["depth"][..., 0], r"shape \(12, 16\)"),
        ("normal", np.zeros((0, 16, 3)), r"shape \(0, 16, 3\)"),
    ],
)
def test_wrong_content_names_the_file(tmp_path, kind, array, words):
    root = write_folder(tmp_path, train=2)
    path = save(root, "train", kind, 1, array)
    split = NYUV2.split(root, "train")
    assert split.load(0).id == "train/0"
    with pytest.raises(DataError, match=words) as caught:
        split.load(1)
    assert caught.value.where == str(path)


def test_636_are_those_of_the_authors_code():
    drawn = training_part(795)
    np.random.seed(688)
    np.testing.assert_array_equal(drawn, np.random.choice(795, 636, replace=False))
    assert drawn[:5].tolist() == [43, 739, 300, 278, 180]
    rest = sorted(set(range(795)) - set(drawn.tolist()))
    assert len(rest) == 159
    assert rest[:3] == [3, 4, 10]


def test_full_training_folder_splits_into_636_and_159(tmp_path):
    for kind in ("image", "label", "depth", "normal"):
        folder = tmp_path / "train" / kind
        folder.mkdir(parents=True)
        for number in range(795):
            (folder / f"{number}.npy").touch()
    kept = NYUV2.split(tmp_path, "train-636").ids
    held = NYUV2.split(tmp_path, "train-159").ids
    assert (len(kept), len(held)) == (636, 159)
    assert held[:3] == ["train/3", "train/4", "train/10"]
    numbers = [int(name.split("/")[1]) for name in kept]
    assert numbers == sorted(numbers)
    assert sorted(numbers) == sorted(training_part(795).tolist())


@pytest.mark.parametrize("count", [1, 5, 16, 64])
def test_other_counts_split_80_to_20_without_overlap(tmp_path, count):
    root = write_folder(tmp_path, train=count, val=1, height=4, width=4)
    kept = NYUV2.split(root, "train-636").ids
    held = NYUV2.split(root, "train-159").ids
    assert len(kept) == round(0.8 * count)
    assert sorted(kept + held) == sorted(NYUV2.split(root, "train").ids)
