"""Streets: functions of (seed, split, index), with maps that agree with each other and with geometry."""

import numpy as np
import pytest

from tabench.data.cityscapes import CLASSES_7, MOST_DISPARITY
from tabench.worlds.camera import intrinsics
from tabench.worlds.dice import Dice, scene_key
from tabench.worlds.picture import take
from tabench.worlds.streets import _STREAM, _STREET, make_street, sample_street
from tabench.worlds.streets.plan import sample_plan
from tabench.worlds.streets.stereo import BASELINE, LENS, MOST, disparity_of, speckles, unmatched

FLAT, SKY = CLASSES_7.index("flat"), CLASSES_7.index("sky")


def street(seed, split, index):
    return sample_street(Dice(seed, _STREAM, *scene_key(split, index), _STREET))


@pytest.fixture(scope="module")
def streets():
    return [make_street(7, "val", i, 64, 128) for i in range(4)]


def test_disparity_is_that_of_the_pictures_depth(streets):
    for index, maps in enumerate(streets):
        disparity, label = maps["disparity"][..., 0], maps["label"]
        expected = disparity_of(take(street(7, "val", index), Dice(0), 64, 128).depth)
        valid = disparity > 0
        np.testing.assert_allclose(disparity[valid], expected[valid], rtol=1e-5)
        assert disparity.max() <= MOST_DISPARITY
        assert set(np.unique(label)) <= set(range(-1, 7))
        blots = ~valid & ~unmatched(expected) & (label != SKY)
        assert blots.mean() < 0.25
        assert not valid[label == SKY].any()
        assert valid[(label != SKY) & (label >= 0)].mean() > 0.6
    np.testing.assert_array_equal(speckles(Dice(0, 3), 64, 128), speckles(Dice(0, 3), 64, 128))


def test_every_class_appears_in_shares_like_a_citys():
    shares = np.zeros((10, 7))
    for i in range(10):
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


def test_disparity_is_the_shift_between_the_two_cameras():
    """A point seen by both cameras of the pair: the columns differ by 256 times the stored value."""
    fx = intrinsics(1024, 2048, LENS)[0]
    assert disparity_of(np.array([20.0])) * 256 == pytest.approx(fx * BASELINE / 20.0, rel=1e-9)
    assert pytest.approx(MOST_DISPARITY, abs=5e-5) == MOST
    assert unmatched(disparity_of(np.full((1, 2048), 0.999 * LENS.fx * BASELINE / 126))).all()


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
