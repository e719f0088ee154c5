"""Streets: functions of (seed, split, index), with maps that agree with each other and with geometry."""

import numpy as np
import pytest

from tabench.catalog import DATASETS
from tabench.data.cityscapes import CLASSES_7, MOST_DISPARITY
from tabench.errors import DataError
from tabench.worlds.camera import Camera, intrinsics
from tabench.worlds.dice import Dice, scene_key
from tabench.worlds.scenes import make_scene
from tabench.worlds.streets import _STREAM, _STREET, STREETS, make_street
from tabench.worlds.streets.plan import sample_plan
from tabench.worlds.streets.stereo import BASELINE, LENS, MOST, disparity_of, speckles, unmatched
from tabench.worlds.streets.street import sample_street
from tabench.worlds.tracing import trace

FLAT, SKY = CLASSES_7.index("flat"), CLASSES_7.index("sky")
PIECES, CENTRES = 1013, [751.1171880198469, 66203.55901725448, 2926.7960749320646]
FINGERPRINT = "streets-35dac08a991d1fb72a5eb9a7165b4a5cf503b79b4d3f16d873dcd6a448de6b60"


def street(seed, split, index):
    return sample_street(Dice(seed, _STREAM, *scene_key(split, index), _STREET))


@pytest.fixture(scope="module")
def streets():
    return [make_street(7, "val", i, 64, 128) for i in range(6)]


def test_formats(streets):
    for maps in streets:
        assert {kind: (a.shape, str(a.dtype)) for kind, a in maps.items()} == {
            "image": ((64, 128, 3), "float32"),
            "label": ((64, 128), "float32"),
            "disparity": ((64, 128, 1), "float32"),
            "instance": ((64, 128), "int32"),
        }
        steps = maps["image"].astype(np.float64) * 255
        assert np.abs(steps - np.rint(steps)).max() < 1e-4
        assert 0.25 < maps["image"].mean() < 0.8
        assert set(np.unique(maps["label"])) <= set(range(-1, 7))
        assert 0 <= maps["disparity"].min() < maps["disparity"].max() <= MOST_DISPARITY


def test_same_key_same_arrays_and_another_key_another_street():
    first = make_street(3, "train", 5, 32, 64)
    for kind, array in make_street(3, "train", 5, 32, 64).items():
        np.testing.assert_array_equal(first[kind], array)
    for other in ((4, "train", 5), (3, "val", 5), (3, "train", 6)):
        assert (first["disparity"] != make_street(*other, 32, 64)["disparity"]).mean() > 0.3


def test_known_streets_stay_known():
    """Published streets change if any of these does: raise GENERATOR then."""
    known = street(0, "train", 0)
    centres = sum(piece.shape.centre for piece in known.pieces)
    assert len(known.pieces) == PIECES
    assert centres == pytest.approx(CENTRES, abs=1e-6)
    assert STREETS.recipe_fingerprint(seed=0, train=64, val=32, height=64, width=128) == FINGERPRINT


def test_size_does_not_change_the_street():
    small, large = make_street(1, "val", 2, 32, 64), make_street(1, "val", 2, 96, 192)
    np.testing.assert_array_equal(small["instance"], large["instance"][::3, ::3])
    both = (small["disparity"] > 0) & (large["disparity"][::3, ::3] > 0)
    assert both.mean() > 0.5
    np.testing.assert_allclose(small["disparity"][both], large["disparity"][::3, ::3][both], rtol=1e-5)


def test_the_roads_disparity_is_the_plane_formula(streets):
    for index, maps in enumerate(streets):
        scene = street(7, "val", index)
        fx, fy, cx, cy = intrinsics(64, 128, LENS)
        v, u = np.mgrid[0:64, 0:128]
        rays = np.stack([(u - cx) / fx, (v - cy) / fy, np.ones((64, 128))], axis=-1)
        down = scene.camera.axes.T @ [0.0, 0.0, -1.0]
        hits = trace(scene, 64, 128)
        road = (np.abs(hits.points[:, 2]) < 1e-6).reshape(64, 128)
        road &= (maps["label"] == FLAT) & (maps["disparity"][..., 0] > 0)
        assert road.sum() > 200
        depth = scene.camera.position[2] / (rays @ down)[road]
        expected = LENS.fx * BASELINE / depth / 256
        np.testing.assert_allclose(maps["disparity"][..., 0][road], expected, rtol=1e-5)


def test_the_sky_is_invalid_and_most_of_the_rest_is_not(streets):
    for maps in streets:
        valid = maps["disparity"][..., 0] > 0
        assert not valid[maps["label"] == SKY].any()
        assert valid[(maps["label"] != SKY) & (maps["label"] >= 0)].mean() > 0.6
    assert any((maps["label"] == SKY).mean() > 0.02 for maps in streets)


def test_each_instance_has_one_class(streets):
    for maps in streets:
        assert maps["instance"].min() >= 1
        for number in np.unique(maps["instance"]):
            assert len(set(np.unique(maps["label"][maps["instance"] == number])) - {-1.0}) <= 1


def test_every_class_appears_in_shares_like_a_citys():
    shares = np.zeros((24, 7))
    for i in range(24):
        label = make_street(1, "train", i, 32, 64)["label"].astype(int)
        shares[i] = np.bincount(label[label >= 0], minlength=7) / label.size
    pixels = dict(zip(CLASSES_7, shares.mean(0), strict=True))
    assert (shares > 0).mean(0).min() > 0.5
    assert 0.25 < pixels["flat"] < 0.5
    assert 0.1 < pixels["construction"] < 0.35
    assert 0.05 < pixels["nature"] < 0.3
    assert 0.05 < pixels["vehicle"] < 0.25
    assert 0.006 < pixels["object"] < 0.06
    assert 0.004 < pixels["human"] < 0.06


def test_side_roads_and_ends_keep_their_space():
    for seed in range(60):
        plan = sample_plan(Dice(seed))
        for first, last in plan.stretches():
            assert first < last
            for at, half in plan.crossings:
                assert last <= at - half + 1e-9 or first >= at + half - 1e-9
        for at, half in plan.crossings:
            assert not plan.free(at, 0.0)
            assert not plan.free(at + half + 0.5, 0.6)
        for side in plan.sides:
            assert 0 < side.lanes < side.kerb < side.front
        assert abs(plan.middle) < plan.lanes * plan.lane


def test_nothing_stands_in_the_cameras_way():
    for seed in range(20):
        scene = street(seed, "train", 0)
        for piece in scene.pieces:
            corners = piece.shape.corners()
            low, high = corners.min(0), corners.max(0)
            inside = (low[0] < 0.3) & (high[0] > -0.3) & (low[1] < 5.0) & (high[1] > 0.2)
            if inside and low[2] < 2.5 and piece.label != "bin":
                assert piece.label in ("road", "grass")
                assert high[2] < 0.2


def test_streets_are_not_rooms_and_read_as_cityscapes(tmp_path):
    assert DATASETS.get("streets") is STREETS
    assert (STREETS.synthetic, STREETS.stands_for) == (True, "cityscapes")
    STREETS.make(tmp_path, seed=2, train=2, val=1, height=24, width=48)
    stored = make_street(2, "train", 1, 24, 48)
    sample = STREETS.split(tmp_path, "train").load(1)
    np.testing.assert_array_equal(sample.image, stored["image"].transpose(2, 0, 1))
    np.testing.assert_array_equal(sample.targets["disparity"], stored["disparity"].transpose(2, 0, 1))
    assert sorted(p.name for p in (tmp_path / "train").iterdir()) == ["depth", "image", "label_7"]
    assert "normal" in make_scene(2, "train", 1, 24, 32)
    report = STREETS.verify(tmp_path)
    assert (report.problems, report.warnings) == ([], [])
    path = tmp_path / "val" / "depth" / "0.npy"
    np.save(path, np.load(path) * 0.9)
    (problem,) = STREETS.verify(tmp_path).problems
    assert str(path) in problem


def test_unknown_split_and_index():
    with pytest.raises(DataError, match="unknown split 'test'"):
        make_street(0, "test", 0, 24, 48)
    with pytest.raises(DataError, match="negative"):
        make_street(0, "train", -1, 24, 48)


def test_disparity_is_the_shift_between_the_two_cameras():
    """A point seen by both cameras of the pair: the columns differ by 256 times the stored value."""
    rng = np.random.default_rng(0)
    fx, _, cx, _ = intrinsics(1024, 2048, LENS)
    for x, z in rng.uniform([-5, 4], [5, 120], (50, 2)):
        left, right = fx * x / z + cx, fx * (x - BASELINE) / z + cx
        assert float(disparity_of(np.array([z]))[0]) * 256 == pytest.approx(left - right, rel=1e-9)


def test_the_most_is_the_layouts():
    assert pytest.approx(MOST_DISPARITY, abs=5e-5) == MOST
    nearest = LENS.fx * BASELINE / 126
    assert 3.7 < nearest < 3.8
    assert unmatched(disparity_of(np.full((1, 2048), nearest * 0.999))).all()


def brute(disparity):
    """Pixel by pixel: hidden behind a pixel further right, outside the right picture, or too near."""
    height, width = disparity.shape
    out = np.zeros_like(disparity, dtype=bool)
    for row in range(height):
        place = [u - disparity[row, u] * 256 * width / 2048 for u in range(width)]
        for u in range(width):
            behind = any(place[other] < place[u] - 1e-9 for other in range(u + 1, width))
            out[row, u] = behind or place[u] < -0.5 or disparity[row, u] > 126 / 256
    return out


@pytest.mark.parametrize("width", [16, 48, 96])
def test_unmatched_pixels_equal_the_loop(width):
    rng = np.random.default_rng(width)
    depth = np.repeat(rng.uniform(3, 60, (9, width // 4)), 4, axis=1)
    np.testing.assert_array_equal(unmatched(disparity_of(depth)), brute(disparity_of(depth)))


def test_a_pole_hides_the_wall_at_its_left():
    depth = np.full((4, 256), 40.0)
    depth[:, 100:104] = 8.0
    lost = unmatched(disparity_of(depth))[0]
    shift = LENS.fx * BASELINE * (1 / 8 - 1 / 40) * 256 / 2048
    assert lost[95:100].sum() == pytest.approx(shift, abs=1)
    assert not lost[100:].any()
    assert not lost[20:90].any()


def test_a_level_road_is_matched():
    camera = Camera.looking(np.array([0, 0, 1.2]), np.pi / 2, -0.038, 0.0, LENS)
    rays = camera.rays(64, 128)
    depth = np.where(rays[..., 2] < -1e-3, -1.2 / np.minimum(rays[..., 2], -1e-3), 500.0)
    lost = unmatched(disparity_of(depth))
    assert not lost[:, 16:].any()
    assert lost[-1, 0]


def test_speckles_are_few_and_drawn():
    share = [speckles(Dice(0, k), 64, 128).mean() for k in range(20)]
    assert 0.004 < np.mean(share) < 0.1
    assert max(share) < 0.25
    np.testing.assert_array_equal(speckles(Dice(0, 3), 64, 128), speckles(Dice(0, 3), 64, 128))
