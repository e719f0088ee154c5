"""Disparity and what a stereo pair cannot match, against loops over pixels."""

import numpy as np
import pytest

from tabench.data.cityscapes import MOST_DISPARITY
from tabench.worlds.scenes.camera import Camera, intrinsics
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.streets.stereo import BASELINE, LENS, MOST, disparity_of, speckles, unmatched


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
