"""Labels, depth, normals and instances agree with each other and with geometry."""

import numpy as np
import pytest

from tabench.data.nyuv2 import CLASSES_13
from tabench.worlds.scenes import intrinsics, make_scene
from tabench.worlds.scenes.dice import Dice, scene_key
from tabench.worlds.scenes.render import trace
from tabench.worlds.scenes.rooms import sample_scene


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
    for index, maps in enumerate(scenes):
        scene = sample_scene(Dice(7, *scene_key("pretrain", index), 0))
        down, height = scene.camera.axes.T @ [0.0, 0.0, -1.0], scene.camera.position[2]
        rays = backproject(np.ones((96, 128)))
        on_floor = maps["instance"] == scene.instances[0]
        on_floor &= maps["depth"][..., 0] > 0
        assert on_floor.sum() > 200
        expected = height / (rays @ down)
        np.testing.assert_allclose(maps["depth"][..., 0][on_floor], expected[on_floor], rtol=1e-5)
        up = np.broadcast_to(-down, (int(on_floor.sum()), 3))
        np.testing.assert_allclose(maps["normal"][on_floor], up, atol=1e-6)


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
