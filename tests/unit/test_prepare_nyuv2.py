"""NYUv2 from a small nyu_depth_v2_labeled.mat of the real format."""

import fcntl
import hashlib
import json
import shutil

import h5py
import numpy as np
import pytest
import scipy.io
from locked_folder import locked, reachable  # noqa: F401 - a fixture
from PIL import Image
from prepare_sources import (
    TO_13,
    nyu_frames,
    write_class_map,
    write_nyu,
    write_splits,
)

from tabench.data.prepare import Request, prepare
from tabench.data.prepare.nyu_labels import public_split
from tabench.errors import DataError, SpecError

ROWS = (np.arange(288) * 5 + 2) // 3  # pixel under the centre of each new one, 480/288 = 5/3
COLS = (np.arange(384) * 5 + 2) // 3


@pytest.fixture(scope="module")
def frames():
    return nyu_frames(4)


@pytest.fixture(scope="module")
def raw(tmp_path_factory, frames):
    folder = tmp_path_factory.mktemp("raw")
    write_nyu(folder / "nyu_depth_v2_labeled.mat", frames)
    write_class_map(folder / "classMapping40.mat")
    write_splits(folder / "splits.mat", [4, 1], [3])
    return folder


@pytest.fixture(scope="module")
def root(tmp_path_factory, raw):
    root = tmp_path_factory.mktemp("out") / "nyuv2"
    outcome = prepare("nyuv2", Request((raw,), root, workers=2, splits=raw / "splits.mat"))
    assert (outcome.written, outcome.kept) == (12, 0)
    assert outcome.counts == {"train": 2, "val": 1}
    assert outcome.notes == [
        "train: 2 images, published are 795",
        "val: 1 images, published are 654",
    ]
    return root


def of(root, folder, kind, number):
    return np.load(root / folder / kind / f"{number}.npy", allow_pickle=False)


@pytest.mark.parametrize(("folder", "number", "index"), [("train", 0, 0), ("train", 1, 3), ("val", 0, 2)])
def test_arrays_are_those_of_the_file(root, frames, folder, number, index):
    images, depths, labels = (array[index] for array in frames)
    expected = Image.fromarray(images).resize((384, 288), Image.Resampling.BILINEAR)
    image = of(root, folder, "image", number)
    np.testing.assert_array_equal(image, np.asarray(expected, np.float32) / np.float32(255))
    depth = of(root, folder, "depth", number)
    np.testing.assert_array_equal(depth[..., 0], depths[np.ix_(ROWS, COLS)])
    label = of(root, folder, "label", number)
    mapped = np.array([-1, *TO_13])[labels[np.ix_(ROWS, COLS)]]
    np.testing.assert_array_equal(label, mapped)
    assert {image.dtype, depth.dtype, label.dtype} == {np.dtype("f4")}


@pytest.mark.parametrize(("folder", "number", "index"), [("train", 1, 3), ("val", 0, 2)])
def test_normals_are_those_of_the_planes(root, folder, number, index):
    found = of(root, folder, "normal", number)
    normal = np.array([0.2, 0.3, 1.0 + index / 10])
    valid = of(root, folder, "depth", number)[..., 0] > 0
    assert (found[~valid] == 0).all()
    cosine = found[valid] @ (-normal / np.linalg.norm(normal))
    assert np.degrees(np.arccos(np.clip(cosine, -1, 1))).max() < 0.2
    assert (found[valid][:, 2] < 0).all()


def test_manifest(root, raw):
    held = json.loads((root / "prepare.json").read_text())
    assert held["complete"] is True
    assert held["counts"] == {"train": 2, "val": 1}
    assert [source["name"] for source in held["sources"]] == [
        "nyu_depth_v2_labeled.mat",
        "classMapping40.mat",
        "splits.mat",
    ]
    assert held["parameters"]["normal"]["camera"]["fx"] == 518.8579
    assert held["outputs"]["files"] == 12
    assert str(raw) not in (root / "prepare.json").read_text()


def test_without_a_split_all_1449_images_are_needed(tmp_path, raw):
    with pytest.raises(DataError, match="4 images; the public split is of 1449") as caught:
        prepare("nyuv2", Request((raw,), tmp_path / "out"))
    assert "splits.mat" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_the_public_split_numbers_the_1449_images(tmp_path, raw):
    path = tmp_path / "nyu_depth_v2_labeled.mat"
    write_nyu(path, frames=nyu_frames(1))
    with h5py.File(path, "a") as file:
        for name, dtype, shape in (("images", "u1", (3, 640, 480)), ("depths", "f4", (640, 480))):
            del file[name]  # as long as the real one, with nothing stored
            file.create_dataset(name, (1449, *shape), dtype, chunks=(1, *shape))
        del file["labels"]
        file.create_dataset("labels", (1449, 640, 480), "u2", chunks=(1, 640, 480))

    def stop(done, total, what):
        if what == "train/0":
            raise KeyboardInterrupt

    request = Request((path,), tmp_path / "out", class_map=raw / "classMapping40.mat", progress=stop)
    with pytest.raises(KeyboardInterrupt):
        prepare("nyuv2", request)
    test = set(public_split()["val"].tolist())
    names = [f"train {i + 1}" for i in range(1449) if i not in test]
    names += [f"val {i + 1}" for i in range(1449) if i in test]
    held = json.loads((tmp_path / "out" / "prepare.json").read_text())
    assert held["images"] == hashlib.sha256("\n".join(names).encode()).hexdigest()
    assert held["parameters"]["split"] == "the public 795 / 654, built in"
    assert (of(tmp_path / "out", "train", "label", 0) == -1).all()
    assert (of(tmp_path / "out", "train", "normal", 0) == 0).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"depths": None}, "variable 'depths' is missing"),
        ({"images": np.zeros((4, 480, 640, 3), "u1")}, r"'images' is \(4, 480, 640, 3\) of uint8"),
        ({"labels": np.zeros((3, 640, 480), "u2")}, r"'labels' is \(3, 640, 480\).*expected 4 x 640 x 480"),
        (
            {"images": np.zeros((4, 3, 640, 480), "u2")},
            "of uint16, expected .* of uint8.*as it was",
        ),
        (
            {"depths": np.zeros((4, 640, 480), "u2")},
            "'depths' is .* of uint16, expected .* of float",
        ),
        ({"labels": np.zeros((4, 640, 480))}, "'labels' is .* of float64, expected .* of unsigned"),
    ],
)
def test_wrong_variables(tmp_path, raw, frames, change, message):
    path = write_nyu(tmp_path / "in.mat", frames, **change)
    with pytest.raises(DataError, match=f"(?s){message}") as caught:
        prepare(
            "nyuv2",
            Request((path,), tmp_path / "out", class_map=raw / "classMapping40.mat", splits=raw / "x"),
        )
    assert str(path) in str(caught.value)


def test_sources_that_are_cut_off_or_none(tmp_path, raw):
    whole = (raw / "nyu_depth_v2_labeled.mat").read_bytes()
    cut = tmp_path / "cut.mat"
    cut.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"not a whole MATLAB v7\.3") as caught:
        prepare("nyuv2", Request((cut,), tmp_path / "out", class_map=raw / "classMapping40.mat"))
    assert "download it again" in str(caught.value)
    with pytest.raises(DataError, match=r"nyu_depth_v2_labeled\.mat: no such file"):
        prepare("nyuv2", Request((tmp_path,), tmp_path / "out"))
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "nyu_depth_v2_labeled.mat").write_bytes(whole)
    with pytest.raises(DataError, match=r"classMapping40\.mat: file not found"):
        prepare("nyuv2", Request((tmp_path / "alone",), tmp_path / "out"))
    with pytest.raises(SpecError, match="one source"):
        prepare("nyuv2", Request((raw, raw), tmp_path / "out"))


def test_why_a_mat_file_cannot_be_read_is_said(tmp_path, raw, reachable, monkeypatch):  # noqa: F811
    monkeypatch.delenv("HDF5_USE_FILE_LOCKING", raising=False)

    def why(path, **options):
        with pytest.raises(DataError) as caught:
            prepare("nyuv2", Request((path,), tmp_path / "out", **options))
        return str(caught.value)

    real = reachable / "in.mat"
    shutil.copy(raw / "nyu_depth_v2_labeled.mat", real)
    with real.open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "in.mat: not a whole MATLAB v7.3 (HDF5) file: " in (found := why(real))
    assert "the file is open in another program" in found
    with locked(real):
        found = why(real)
    assert "in.mat: cannot be read: Permission denied" in found
    scipy.io.savemat(tmp_path / "again.mat", {"images": np.zeros((2, 2))})
    found = why(tmp_path / "again.mat")
    assert "again.mat: not a whole MATLAB v7.3 (HDF5) file: " in found
    small = why(raw, class_map=raw / "nyu_depth_v2_labeled.mat")
    assert "nyu_depth_v2_labeled.mat: larger than 1048576 bytes" in small


def test_wrong_images_are_all_named_and_the_good_ones_stay(tmp_path, raw, frames):
    images, depths, labels = (array.copy() for array in frames)
    labels[0, 300:, :] = 6  # five names
    depths[2, 10, 10] = np.nan
    path = write_nyu(tmp_path / "in.mat", (images, depths, labels))
    request = Request(
        (path,),
        tmp_path / "out",
        class_map=raw / "classMapping40.mat",
        splits=raw / "splits.mat",
    )
    with pytest.raises(DataError, match="2 of the first 3 cannot be used") as caught:
        prepare("nyuv2", request)
    text = str(caught.value)
    assert f"{path}, image 1: label 6 is outside the map's 0..5" in text
    assert f"{path}, image 3: depth that is negative or not finite" in text
    assert sorted(p.name for p in (tmp_path / "out").rglob("*.npy")) == ["1.npy"] * 4  # train/1 of image 4
    assert json.loads((tmp_path / "out" / "prepare.json").read_text())["complete"] is False
