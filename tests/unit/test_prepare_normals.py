"""Normals from depth: surfaces whose normals are known, and a fit written another way."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prepare_sources import plane_depth

from tabench.data.prepare.normals import Camera, normals_from_depth

SMALL = Camera(60.0, 62.0, 30.3, 19.6)  # of a 64x40 image


def small_plane(normal, distance):
    return plane_depth(normal, distance, 40, 64, (SMALL.fx, SMALL.fy, SMALL.cx, SMALL.cy))


def angles(found, expected):
    cosine = np.clip((found.astype(float) * expected).sum(axis=-1), -1, 1)
    return np.degrees(np.arccos(cosine))


@settings(max_examples=20, deadline=None)
@given(st.floats(-0.9, 0.9), st.floats(-0.9, 0.9), st.floats(0.5, 8))
def test_planes_are_exact_at_every_pixel(across, down, distance):
    normal = np.array([across, down, 2.0]) / np.linalg.norm([across, down, 2.0])
    found = normals_from_depth(small_plane(normal, distance), SMALL, threshold=0.9)
    assert found.shape == (40, 64, 3)
    assert found.dtype == np.float32
    assert angles(found, -normal).max() < 0.1  # facing the camera: n_z < 0


@pytest.mark.parametrize(
    ("normal", "facing"),
    [((0, 0, 1), (0, 0, -1)), ((1, 0, 1), (-1, 0, -1)), ((0, 2, 1), (0, -2, -1)), ((-1, 0, 1), (1, 0, -1))],
)
def test_the_frame_is_x_right_y_down_z_forward(normal, facing):
    # (1, 0, 1): the right wall of a room, its depth falls towards the right, its normal points left
    found = normals_from_depth(small_plane(normal, 3.0), SMALL, radius=2, threshold=0.2)[20, 30]
    np.testing.assert_allclose(found, np.array(facing) / np.linalg.norm(facing), atol=2e-3)


def test_equal_to_least_squares_at_single_pixels():
    rng = np.random.default_rng(3)
    depth = small_plane((0.3, -0.2, 1), 2.0) * rng.uniform(0.97, 1.03, (40, 64))
    depth[10:14, 5:30] = 0
    depth[:, 45:] *= 1.6  # another surface behind an edge
    radius, threshold = 4, 0.05
    found = normals_from_depth(depth, SMALL, radius=radius, threshold=threshold)
    for row, col in [(0, 0), (9, 9), (20, 44), (20, 45), (39, 63), (25, 20), (15, 12)]:
        rows, cols = np.mgrid[
            max(row - radius, 0) : min(row + radius, 39) + 1, max(col - radius, 0) : min(col + radius, 63) + 1
        ]
        z = depth[rows, cols]
        near = (z > 0) & (z >= depth[row, col] * (1 - threshold)) & (z <= depth[row, col] * (1 + threshold))
        if depth[row, col] == 0 or near.sum() < (radius + 1) ** 2 // 2:
            assert (found[row, col] == 0).all()
            continue
        x = (cols[near] - SMALL.cx) / SMALL.fx
        y = (rows[near] - SMALL.cy) / SMALL.fy
        plane = np.linalg.lstsq(np.stack([x, y, np.ones_like(x)], 1), 1 / z[near], rcond=None)[0]
        np.testing.assert_allclose(found[row, col], -plane / np.linalg.norm(plane), atol=1e-3)


def test_invalid_depth_and_too_little_support_give_no_normal():
    depth = np.zeros((40, 64))
    assert (normals_from_depth(depth, SMALL) == 0).all()
    depth[20, 30] = 2.0  # one pixel alone
    assert (normals_from_depth(depth, SMALL) == 0).all()
    depth = small_plane((0, 0, 1), 2.0)
    depth[5:8, 5:8] = 0
    found = normals_from_depth(depth, SMALL)
    length = np.linalg.norm(found, axis=-1)
    assert (length[5:8, 5:8] == 0).all()
    np.testing.assert_allclose(length[depth > 0], 1, atol=1e-5)


def test_chosen_pixels_are_those_of_the_whole():
    depth = small_plane((0.3, -0.2, 1), 2.0) * np.random.default_rng(0).uniform(0.99, 1.01, (40, 64))
    rows, cols = np.array([0, 7, 8, 39]), np.array([1, 33, 63])
    part = normals_from_depth(depth, SMALL, rows, cols)
    np.testing.assert_array_equal(part, normals_from_depth(depth, SMALL)[np.ix_(rows, cols)])
