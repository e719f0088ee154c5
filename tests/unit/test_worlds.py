"""Every world is a function of (seed, split, index), and its pictures agree with geometry."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import pytest

from tabench.catalog import DATASETS
from tabench.data.nyuv2 import CLASSES_13
from tabench.errors import DataError
from tabench.worlds.camera import intrinsics
from tabench.worlds.dice import Dice, scene_key
from tabench.worlds.figures import make_figure
from tabench.worlds.figures import sample_scene as sample_figure
from tabench.worlds.picture import take
from tabench.worlds.scenes import make_scene
from tabench.worlds.scenes.rooms import sample_scene
from tabench.worlds.streets import _STREAM, make_street, sample_street
from tabench.worlds.things import Scene


class World(NamedTuple):
    make: Callable[..., dict[str, Any]]
    sample: Callable[[int, str, int], Scene]
    formats: dict[str, str]
    exact: tuple[str, ...]  # maps whose pixels are those of a picture of three times the size
    close: str
    ground: str


ARRAYS = {"image": "float32 3", "label": "float32", "instance": "int32"}
WORLDS = {
    "scenes": World(
        make_scene,
        lambda seed, split, i: sample_scene(Dice(seed, *scene_key(split, i), 0)),
        ARRAYS | {"depth": "float32 1", "normal": "float32 3"},
        ("instance",),
        "depth",
        "floor",
    ),
    "streets": World(
        make_street,
        lambda seed, split, i: sample_street(Dice(seed, _STREAM, *scene_key(split, i), 0)),
        ARRAYS | {"disparity": "float32 1"},
        ("instance",),
        "disparity",
        "road",
    ),
    "figures": World(
        lambda *key: {k: v for k, v in vars(make_figure(*key)).items() if k != "objects"},
        sample_figure,
        {
            "image": "uint8 3",
            "semseg": "uint8",
            "saliency": "bool",
            "context": "uint16",
            "normal": "float64 3",
            "depth": "float64",
        },
        ("saliency", "context"),
        "depth",
        "road",
    ),
}
KNOWN = {
    "scenes": (
        106,
        [203.57823032516222, 216.32727501376837, 96.59284604143328],
        "scenes-73715011ccbc43e57f7a489f10e58cca714419adb2abb626523c163c5f4d5da1",
    ),
    "streets": (
        1786,
        [2888.6802048809946, 91377.21937589358, 3369.1612541233503],
        "streets-73715011ccbc43e57f7a489f10e58cca714419adb2abb626523c163c5f4d5da1",
    ),
    "figures": (
        70,
        [233.42295543511628, 280.59948524059394, 50.63639156759663],
        "figures-73715011ccbc43e57f7a489f10e58cca714419adb2abb626523c163c5f4d5da1",
    ),
}


@pytest.fixture(scope="module", params=sorted(WORLDS))
def name(request):
    return request.param


@pytest.fixture
def world(name):
    return WORLDS[name]


@pytest.fixture(scope="module")
def pictures(name):
    """Scenes with their pictures."""
    scenes = [WORLDS[name].sample(7, "train", i) for i in range(4)]
    return [(scene, take(scene, Dice(0, i), 96, 128)) for i, scene in enumerate(scenes)]


def rays_of(scene, height, width):
    """(H, W, 3) of the camera's own frame, depth 1."""
    fx, fy, cx, cy = intrinsics(height, width, scene.camera.lens)
    v, u = np.mgrid[0:height, 0:width]
    return np.stack([(u - cx) / fx, (v - cy) / fy, np.ones((height, width))], axis=-1)


def test_maps_are_what_their_key_says(world):
    np.random.seed(1)
    first = world.make(3, "train", 5, 32, 48)
    np.random.seed(2)
    again = world.make(3, "train", 5, 32, 48)
    assert first.keys() == world.formats.keys()
    for kind, array in first.items():
        channels = (array.shape[2],) if array.ndim == 3 else ()
        assert array.shape == (32, 48, *channels)
        assert " ".join(map(str, (array.dtype, *channels))) == world.formats[kind]
        np.testing.assert_array_equal(array, again[kind])
    steps = first["image"].astype(np.float64) * (1 if first["image"].dtype == np.uint8 else 255)
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-4)
    assert 0.2 * 255 < steps.mean() < 0.85 * 255
    for other in ((4, "train", 5), (3, "val", 5), (3, "pretrain", 5), (3, "train", 6)):
        assert (first[world.close] != world.make(*other, 32, 48)[world.close]).mean() > 0.25
    with pytest.raises(DataError, match="unknown split 'test'"):
        world.make(0, "test", 0, 24, 32)
    with pytest.raises(DataError, match="negative"):
        world.make(0, "train", -1, 24, 32)


@pytest.mark.parametrize("index", range(2))
def test_size_does_not_change_what_is_seen(world, index):
    small, large = world.make(1, "val", index, 24, 32), world.make(1, "val", index, 72, 96)
    # the centres of the small picture's pixels are pixels of the one three times its size
    for kind in world.exact:
        np.testing.assert_array_equal(small[kind], large[kind][::3, ::3])
    few, many = small[world.close], large[world.close][::3, ::3]
    both = (few > 0) & (many > 0)
    assert both.mean() > 0.4
    np.testing.assert_allclose(few[both], many[both], rtol=1e-5)


def test_known_scenes_stay_known(name, world):
    """Published pictures change if any of these does: raise GENERATOR then."""
    pieces, centres, fingerprint = KNOWN[name]
    scene = world.sample(0, "train", 0)
    assert len(scene.pieces) == pieces
    assert sum(piece.shape.centre for piece in scene.pieces) == pytest.approx(centres, abs=1e-5)
    sizes = {"seed": 0, "train": 64, "val": 32, "height": 64, "width": 128}
    assert DATASETS.get(name).recipe_fingerprint(**sizes) == fingerprint


def test_normals_are_unit_and_face_the_camera(pictures):
    for scene, picture in pictures:
        np.testing.assert_allclose(np.linalg.norm(picture.normal, axis=-1), 1.0, atol=1e-9)
        assert ((picture.normal * rays_of(scene, 96, 128)).sum(-1) < 1e-9).all()
        assert picture.depth.min() > 0.2
        assert np.isfinite(picture.depth).all()


def test_depth_of_level_ground_is_the_plane_formula(world, pictures):
    seen = 0
    for scene, picture in pictures:
        down = scene.camera.axes.T @ [0.0, 0.0, -1.0]
        rays = rays_of(scene, 96, 128)
        points = scene.camera.position[2] - picture.depth * (rays @ down)
        ground = (np.abs(points) < 1e-9) & (picture.normal @ down < -0.999)
        labels = picture.of_pieces([piece.label for piece in scene.pieces])[ground]
        assert set(labels) <= {world.ground, "floor", "grass", "rug"}
        expected = scene.camera.position[2] / (rays @ down)[ground]
        np.testing.assert_allclose(picture.depth[ground], expected, rtol=1e-9)
        seen += int(ground.sum())
    assert seen > 2000


def test_normals_match_differences_of_depth(pictures):
    """On a flat face, the step between neighbours' back-projected points lies in the plane."""
    checked = 0
    for scene, picture in pictures:
        points = picture.depth[..., None] * rays_of(scene, 96, 128)
        for axis in (0, 1):  # neighbours below, then neighbours to the right
            p, n, k = (x.swapaxes(0, axis) for x in (points, picture.normal, picture.piece))
            same = (k[1:] == k[:-1]) & ((n[1:] * n[:-1]).sum(-1) > 1 - 1e-12)
            step, normal = (p[1:] - p[:-1])[same], n[:-1][same]
            off_plane = np.abs((step * normal).sum(-1)) / np.linalg.norm(step, axis=-1)
            assert off_plane.max() < 1e-4
            checked += same.sum()
    assert checked > 20000


@pytest.mark.parametrize("name", ["scenes", "streets"], indirect=True)
def test_each_instance_has_one_class(world):
    for index in range(4):
        maps = world.make(7, "val", index, 48, 96)
        assert maps["instance"].min() >= 1
        for number in np.unique(maps["instance"]):
            assert len(set(np.unique(maps["label"][maps["instance"] == number])) - {-1.0}) <= 1


def test_rooms_show_every_class_and_what_a_sensor_misses():
    shares, invalid = np.zeros((40, 13)), []
    for i, share in enumerate(shares):
        maps = make_scene(1, "train", i, 48, 64)
        label = maps["label"].astype(int)
        assert set(np.unique(label)) <= set(range(-1, 13))
        share[:] = np.bincount(label[label >= 0], minlength=13) / label.size
        np.testing.assert_array_equal((maps["normal"] != 0).any(-1), maps["depth"][..., 0] > 0)
        assert maps["depth"].max() < 8.5
        invalid.append(((maps["depth"] == 0).mean(), (label == -1).mean()))
    assert min((shares > 0).mean(0)) >= 0.08
    pixels = dict(zip(CLASSES_13, shares.mean(0), strict=True))
    assert 0.2 < pixels["wall"] < 0.55
    assert 0.08 < pixels["floor"] < 0.35
    assert min(pixels[name] for name in ("bed", "chair", "sofa", "table", "furniture")) > 0.015
    assert 0.01 < max(depth for depth, _ in invalid) < 0.4
    assert min(label for _, label in invalid) == 0 < max(label for _, label in invalid)
