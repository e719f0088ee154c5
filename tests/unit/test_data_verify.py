import numpy as np
from nyu_folder import image_arrays, save, write_folder

from tabench.data.nyuv2 import NYUV2


def test_sound_folder_has_warnings_and_a_fingerprint(tmp_path):
    root = write_folder(tmp_path)
    seen = []
    report = NYUV2.verify(root, lambda done, total, what: seen.append((done, total, what)))
    assert report.problems == []
    assert report.counts == {"train": 5, "val": 3}
    assert report.warnings == [
        "train: 5 images, published are 795",
        "val: 3 images, published are 654",
        "8 images of 12x16, expected is 288x384",
    ]
    assert report.fingerprint == NYUV2.fingerprint(root)
    assert seen[:8] == [(i + 1, 8, f"read {name}") for i, name in enumerate(_ids())]


def _ids():
    return [f"train/{i}" for i in range(5)] + [f"val/{i}" for i in range(3)]


def test_every_wrong_file_is_named_with_its_fault(tmp_path):
    root = write_folder(tmp_path, val=4)
    wrong = {
        save(root, "train", "label", 0, np.full((12, 16), 40.0)): "labels 40 outside",
        save(root, "train", "depth", 1, np.full((12, 16, 1), np.nan)): "NaN",
        save(root, "train", "normal", 2, image_arrays(2)["normal"] * 255): "components in",
        save(root, "val", "normal", 0, (image_arrays(1)["normal"] + 1) / 2): "normals of length",
        save(root, "val", "image", 1, np.zeros((12, 16), np.float32)): "shape (12, 16)",
    }
    broken = root / "val" / "depth" / "2.npy"
    broken.write_bytes(broken.read_bytes()[:-8])
    wrong[broken] = "not a readable"
    report = NYUV2.verify(root)
    assert len(report.problems) == len(wrong)
    for path, words in wrong.items():
        (line,) = [line for line in report.problems if line.startswith(f"{path}: ")]
        assert words in line
    assert report.fingerprint == ""


def test_sizes_that_differ_are_a_problem(tmp_path):
    root = write_folder(tmp_path)
    save(root, "val", "depth", 1, np.ones((12, 15, 1)))
    (line,) = NYUV2.verify(root).problems
    assert "val, image 1: sizes differ" in line
    assert "depth 12x15" in line


def test_missing_files_are_a_problem_and_the_other_folder_is_still_read(tmp_path):
    root = write_folder(tmp_path)
    (root / "train" / "label" / "4.npy").unlink()
    save(root, "val", "depth", 0, np.full((12, 16, 1), -1.0))
    report = NYUV2.verify(root)
    assert "train/4 lacks label" in report.problems[0]
    assert "negative depth" in report.problems[1]
    assert report.counts == {"val": 3}
    nothing = NYUV2.verify(tmp_path / "absent")
    assert len(nothing.problems) == 2
    assert nothing.fingerprint == ""


def test_slightly_short_normals_are_a_warning(tmp_path):
    root = write_folder(tmp_path, train=1, val=1)
    normal = image_arrays(0)["normal"]
    normal[4:6] *= 0.9
    save(root, "train", "normal", 0, normal)
    report = NYUV2.verify(root)
    assert report.problems == []
    assert "train: only 80.00% of the normals are within 0.05 of length 1" in report.warnings
