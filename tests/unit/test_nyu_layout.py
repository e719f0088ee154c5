import numpy as np
import pytest
from nyu_folder import image_arrays, save, write_folder

from tabench.data.array_folders import list_images
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


def test_empty_folder_is_an_error(tmp_path):
    for kind in ("image", "label", "depth", "normal"):
        (tmp_path / "val" / kind).mkdir(parents=True)
    with pytest.raises(DataError, match="no image here"):
        NYUV2.split(tmp_path, "val")


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
NAN_DEPTH = ARRAYS["depth"].copy()
NAN_DEPTH[3, 3] = np.nan
LABEL_13 = ARRAYS["label"].copy()
LABEL_13[0, 0] = 13
HALF_LABEL = ARRAYS["label"] + 0.5


@pytest.mark.parametrize(
    ("kind", "array", "words"),
    [
        ("image", np.zeros((3, 12, 16), np.float32), r"shape \(3, 12, 16\), expected \(H, W, 3\)"),
        ("image", np.zeros((12, 16, 3), np.uint8), "divide 0..255 images by 255"),
        ("image", np.full((12, 16, 3), 255.0), r"values in 255\.\.255, expected 0\.\.1"),
        ("label", np.zeros((12, 16, 1)), r"expected \(H, W\)"),
        ("label", np.zeros((12, 16), complex), "dtype complex128"),
        ("label", LABEL_13, r"labels 13 outside -1\.\.12"),
        ("label", LABEL_13 - 15, r"outside -1\.\.12"),
        ("label", HALF_LABEL, "192 labels are not whole numbers"),
        ("label", np.full((12, 16), np.nan), "not whole numbers"),
        ("depth", NAN_DEPTH, "1 values are NaN or infinite"),
        ("depth", ARRAYS["depth"] - 5, "negative depth"),
        ("depth", ARRAYS["depth"][..., 0], r"shape \(12, 16\)"),
        ("normal", np.full((12, 16, 3), np.inf), "576 values are NaN or infinite"),
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


def test_truncated_pickled_and_foreign_files_are_refused(tmp_path):
    root = write_folder(tmp_path, train=1)
    split = NYUV2.split(root, "train")
    path = root / "train" / "depth" / "0.npy"
    whole = path.read_bytes()
    for content in (whole[:-100], whole[:20], b"", b"<html>not found</html>"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"not a readable \.npy array") as caught:
            split.load(0)
        assert caught.value.where == str(path)
    with path.open("wb") as handle:
        np.save(handle, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="not a readable"):
        split.load(0)
    with path.open("wb") as handle:
        np.savez(handle, x=np.zeros(3))
    with pytest.raises(DataError, match=r"not a readable \.npy array"):
        split.load(0)
    path.unlink()
    with pytest.raises(DataError, match="file not found"):
        split.load(0)


def test_sizes_that_differ_inside_an_image_are_named(tmp_path):
    root = write_folder(tmp_path, train=1)
    save(root, "train", "label", 0, np.zeros((10, 16)))
    with pytest.raises(DataError, match="sizes differ: image 12x16, label 10x16"):
        NYUV2.split(root, "train").load(0)
