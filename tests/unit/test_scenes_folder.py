"""Folders of scenes: layout, refusal, verification, fingerprint."""

import numpy as np
import pytest

from tabench.catalog import DATASETS
from tabench.errors import DataError
from tabench.worlds.scenes import SCENES, make_scene

SIZES = {"seed": 5, "train": 3, "val": 2, "height": 24, "width": 32}


def make_scenes(root, progress=None, **sizes):
    SCENES.make(root, progress=progress, **sizes)


@pytest.fixture
def root(tmp_path):
    make_scenes(tmp_path / "set", **SIZES)
    return tmp_path / "set"


def snapshot(root):
    return {p.relative_to(root): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_files_are_what_make_scene_returns(root):
    assert len(snapshot(root)) == 5 * 4 + 1
    scene = make_scene(5, "val", 1, 24, 32)
    for kind in ("image", "label", "depth", "normal"):
        stored = np.load(root / "val" / kind / "1.npy", allow_pickle=False)
        assert stored.dtype == np.float32
        np.testing.assert_array_equal(stored, scene[kind])


@pytest.mark.parametrize(
    "change", [{"train": 0}, {"width": 8}, {"seed": -1}, {"val": True}, {"height": 24.5}]
)
def test_impossible_recipes(tmp_path, change):
    with pytest.raises(DataError, match=f"'{next(iter(change))}' is"):
        make_scenes(tmp_path / "x", **{**SIZES, **change})
    assert not (tmp_path / "x").exists()


def test_read_as_a_dataset(root):
    assert DATASETS.get("scenes") is SCENES
    split = SCENES.split(root, "val")
    assert split.ids == ["val/0", "val/1"]
    sample = split.load(1)
    scene = make_scene(5, "val", 1, 24, 32)
    np.testing.assert_array_equal(sample.image, scene["image"].transpose(2, 0, 1))
    np.testing.assert_array_equal(sample.targets["label"], scene["label"].astype(np.int64))
    assert sample.targets["depth"].shape == (1, 24, 32)


def test_incomplete_sets_are_not_read(root):
    for kind in ("image", "label", "depth", "normal"):
        (root / "train" / kind / "2.npy").unlink()
    with pytest.raises(DataError, match="2 images, the recipe says 3"):
        SCENES.split(root, "val")
    assert "2 images, the recipe says 3" in "\n".join(SCENES.verify(root).problems)


def test_verify_compares_with_the_renderer(root):
    report = SCENES.verify(root)
    assert (report.problems, report.warnings) == ([], [])
    assert report.fingerprint == SCENES.fingerprint(root) == SCENES.recipe_fingerprint(**SIZES)
    path = root / "val" / "depth" / "1.npy"
    np.save(path, np.load(path) * 1.1)
    report = SCENES.verify(root)
    assert len(report.problems) == 1
    assert str(path) in report.problems[0]
    assert report.fingerprint == ""


def test_a_known_recipe_keeps_its_fingerprint():
    assert SCENES.recipe_fingerprint(seed=0, train=64, val=32, height=96, width=128) == (
        "scenes-02bf2f168ce70178d9a5ad33fbd3707138f69d4987b1580a257ec0d992c92004"
    )


def test_damaged_recipes(root):
    for broken in ("{", "[]", '{"seed": 1}', '"text"'):
        (root / "scenes.json").write_text(broken)
        with pytest.raises(DataError, match="not a recipe"):
            SCENES.fingerprint(root)
