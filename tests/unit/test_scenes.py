"""Rooms: functions of (seed, split, index); their maps agree with each other, geometry and the files."""

import numpy as np
import pytest

from tabench.catalog import DATASETS
from tabench.data.nyuv2 import CLASSES_13
from tabench.errors import DataError
from tabench.worlds.camera import intrinsics
from tabench.worlds.dice import SPLIT_KEYS, Dice, scene_key
from tabench.worlds.scenes import SCENES, make_scene
from tabench.worlds.scenes.rooms import sample_scene
from tabench.worlds.tracing import trace

SIZES = {"seed": 5, "train": 3, "val": 2, "height": 24, "width": 32}
DRAWN = [0.9060999392139949, 2.0, 2.0]
KNOWN = (90, [276.3862403875373, 191.87474173131528, 68.85566485962275])
FINGERPRINT = "scenes-6ec00f43ef066557434eace6a7c4cf811cc0dfeff446b33faa3a94801083ca11"


@pytest.fixture(scope="module")
def scenes():
    return [make_scene(7, "pretrain", i, 96, 128) for i in range(5)]


def backproject(depth):
    height, width = depth.shape
    fx, fy, cx, cy = intrinsics(height, width)
    v, u = np.mgrid[0:height, 0:width]
    return np.stack([(u - cx) / fx * depth, (v - cy) / fy * depth, depth], axis=-1)


def test_formats(scenes):
    for scene in scenes:
        assert {kind: (a.shape, str(a.dtype)) for kind, a in scene.items()} == {
            "image": ((96, 128, 3), "float32"),
            "label": ((96, 128), "float32"),
            "depth": ((96, 128, 1), "float32"),
            "normal": ((96, 128, 3), "float32"),
            "instance": ((96, 128), "int32"),
        }
        steps = scene["image"].astype(np.float64) * 255
        assert np.abs(steps - np.rint(steps)).max() < 1e-4
        assert scene["image"].min() >= 0
        assert scene["image"].max() <= 1
        assert 0.25 < scene["image"].mean() < 0.8
        assert set(np.unique(scene["label"])) <= set(range(-1, 13))
        assert scene["depth"].max() < 8.5


def test_normals_are_unit_and_face_the_camera(scenes):
    for scene in scenes:
        normal, depth = scene["normal"].astype(np.float64), scene["depth"][..., 0]
        valid = depth > 0
        np.testing.assert_array_equal((normal != 0).any(-1), valid)
        np.testing.assert_allclose(np.linalg.norm(normal[valid], axis=-1), 1.0, atol=1e-6)
        rays = backproject(np.ones_like(depth))
        assert ((normal * rays).sum(-1)[valid] < 0).all()
        assert normal[valid][:, 2].mean() < -0.2


def test_depth_of_the_floor_is_the_plane_formula(scenes):
    seen = 0
    for index, maps in enumerate(scenes):
        scene = sample_scene(Dice(7, *scene_key("pretrain", index), 0))
        down, height = scene.camera.axes.T @ [0.0, 0.0, -1.0], scene.camera.position[2]
        rays = backproject(np.ones((96, 128)))
        on_floor = maps["instance"] == scene.instances[0]
        on_floor &= maps["depth"][..., 0] > 0
        seen += int(on_floor.sum())
        expected = height / (rays @ down)
        np.testing.assert_allclose(maps["depth"][..., 0][on_floor], expected[on_floor], rtol=1e-5)
        up = np.broadcast_to(-down, (int(on_floor.sum()), 3))
        np.testing.assert_allclose(maps["normal"][on_floor], up, atol=1e-6)
    assert seen > 2000


def test_normals_match_differences_of_depth():
    """On a flat face, the step between neighbours' back-projected points lies in the plane."""
    checked = 0
    for index in range(4):
        maps = make_scene(2, "train", index, 96, 128)
        scene = sample_scene(Dice(2, *scene_key("train", index), 0))
        piece = trace(scene, 96, 128).piece.reshape(96, 128)
        points = backproject(maps["depth"][..., 0].astype(np.float64))
        for axis in (0, 1):  # neighbours below, then neighbours to the right
            p, n, k = (x.swapaxes(0, axis) for x in (points, maps["normal"].astype(np.float64), piece))
            same = (k[1:] == k[:-1]) & ((n[1:] * n[:-1]).sum(-1) > 1 - 1e-9)
            step, normal = (p[1:] - p[:-1])[same], n[:-1][same]
            off_plane = np.abs((step * normal).sum(-1)) / np.linalg.norm(step, axis=-1)
            assert off_plane.max() < 1e-3
            checked += same.sum()
    assert checked > 30000


def test_each_instance_has_one_class(scenes):
    for scene in scenes:
        label, instance = scene["label"], scene["instance"]
        assert instance.min() >= 1
        for number in np.unique(instance):
            assert len(set(np.unique(label[instance == number])) - {-1.0}) <= 1
        assert 5 < len(np.unique(instance)) < 80


def test_hit_points_reproject_to_their_pixels():
    scene = sample_scene(Dice(7, *scene_key("pretrain", 0), 0))
    hits = trace(scene, 48, 64)
    local = (hits.points - scene.camera.position) @ scene.camera.axes
    fx, fy, cx, cy = intrinsics(48, 64)
    v, u = np.mgrid[0:48, 0:64]
    np.testing.assert_allclose(fx * local[:, 0] / local[:, 2] + cx, u.ravel(), atol=1e-6)
    np.testing.assert_allclose(fy * local[:, 1] / local[:, 2] + cy, v.ravel(), atol=1e-6)
    np.testing.assert_allclose(local[:, 2], hits.depth, rtol=1e-12)
    inside = (hits.points > -1e-9) & (hits.points < scene.size + 1e-9)
    assert inside.all()


def test_masks_are_exercised():
    maps = [make_scene(0, "train", i, 48, 64) for i in range(12)]
    assert any((m["depth"] == 0).mean() > 0.01 for m in maps)
    assert any((m["label"] == -1).any() for m in maps)
    assert any((m["label"] >= 0).all() for m in maps)
    assert all((m["depth"] > 0).mean() > 0.6 for m in maps)


def test_every_class_appears():
    images = 40
    shares = np.zeros((images, 13))
    for i in range(images):
        label = make_scene(1, "train", i, 48, 64)["label"].astype(int)
        shares[i] = np.bincount(label[label >= 0], minlength=13) / label.size
    seen = dict(zip(CLASSES_13, (shares > 0).mean(0), strict=True))
    assert min(seen.values()) >= 0.08, seen
    pixels = dict(zip(CLASSES_13, shares.mean(0), strict=True))
    assert 0.2 < pixels["wall"] < 0.55
    assert 0.08 < pixels["floor"] < 0.35
    for name in ("bed", "chair", "sofa", "table", "furniture"):
        assert pixels[name] > 0.015, pixels


def test_same_key_same_arrays():
    first, second = make_scene(3, "train", 5, 48, 64), make_scene(3, "train", 5, 48, 64)
    assert first.keys() == {"image", "label", "depth", "normal", "instance"}
    for kind in first:
        np.testing.assert_array_equal(first[kind], second[kind])


@pytest.mark.parametrize("other", [(4, "train", 5), (3, "val", 5), (3, "pretrain", 5), (3, "train", 6)])
def test_another_key_another_room(other):
    here, there = make_scene(3, "train", 5, 24, 32), make_scene(*other, 24, 32)
    assert (here["depth"] != there["depth"]).mean() > 0.5


def test_split_streams_never_meet():
    keys = {scene_key(split, i) for split in SPLIT_KEYS for i in range(300)}
    assert len(keys) == 300 * len(SPLIT_KEYS)
    first = {tuple(Dice(0, *key, 0).uniforms(4)) for key in keys}
    assert len(first) == len(keys)


def test_size_does_not_change_the_room():
    small, large = make_scene(1, "val", 2, 24, 32), make_scene(1, "val", 2, 72, 96)
    # the centres of the small image's pixels are pixels of the one three times its size
    np.testing.assert_array_equal(small["instance"], large["instance"][::3, ::3])
    both = (small["depth"] > 0) & (large["depth"][::3, ::3] > 0)
    np.testing.assert_allclose(small["depth"][both], large["depth"][::3, ::3][both], rtol=1e-5)


def test_known_draws_stay_known():
    """Published scenes change if any of these does: raise GENERATOR then."""
    dice = Dice(0, 0, 0, 0)
    drawn = [dice.uniform(0, 1), float(dice.integer(0, 9)), dice.pick((1.0, 2.0, 3.0))]
    assert drawn == pytest.approx(DRAWN, abs=1e-12)
    scene = sample_scene(Dice(0, 0, 0, 0))
    assert len(scene.pieces) == KNOWN[0]
    assert sum(piece.shape.centre for piece in scene.pieces) == pytest.approx(KNOWN[1], abs=1e-6)
    assert SCENES.recipe_fingerprint(seed=0, train=64, val=32, height=96, width=128) == FINGERPRINT


def test_unknown_split_and_index():
    with pytest.raises(DataError, match="unknown split 'test'"):
        make_scene(0, "test", 0, 24, 32)
    with pytest.raises(DataError, match="negative"):
        make_scene(0, "train", -1, 24, 32)


@pytest.fixture
def root(tmp_path):
    SCENES.make(tmp_path / "set", **SIZES)
    return tmp_path / "set"


@pytest.mark.parametrize(
    "change", [{"train": 0}, {"width": 8}, {"seed": -1}, {"val": True}, {"height": 24.5}]
)
def test_impossible_recipes(tmp_path, change):
    with pytest.raises(DataError, match=f"'{next(iter(change))}' is"):
        SCENES.make(tmp_path / "x", **{**SIZES, **change})
    assert not (tmp_path / "x").exists()


def test_read_as_a_dataset(root):
    assert DATASETS.get("scenes") is SCENES
    split = SCENES.split(root, "val")
    assert split.ids == ["val/0", "val/1"]
    sample = split.load(1)
    scene = make_scene(5, "val", 1, 24, 32)
    np.testing.assert_array_equal(sample.image, scene["image"].transpose(2, 0, 1))
    np.testing.assert_array_equal(sample.targets["label"], scene["label"].astype(np.int64))
    for kind in ("depth", "normal"):
        np.testing.assert_array_equal(sample.targets[kind], scene[kind].transpose(2, 0, 1))


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


def test_damaged_recipes(root):
    for broken in ("{", "[]", '{"seed": 1}', '"text"'):
        (root / "scenes.json").write_text(broken)
        with pytest.raises(DataError, match="not a recipe"):
            SCENES.fingerprint(root)
