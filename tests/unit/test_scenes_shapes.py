"""Intersections and normals against their formulas."""

import numpy as np
import pytest

from tabench.worlds.scenes.camera import Camera, intrinsics
from tabench.worlds.scenes.shapes import BALL, BOX, CYLINDER, Shape, entry, local_normals, yaw_matrix


def rays(n=200):
    rng = np.random.default_rng(0)
    origins = rng.normal(size=(n, 3)) * 0.3 + [0.0, -6.0, 0.0]
    return origins, rng.normal(size=(n, 3)) * [0.15, 0.1, 0.15] + [0.0, 1.0, 0.0]


def implicit(kind, unit, taper=1.0):
    """1 on the surface, less inside, more outside; tapering solids narrow towards z = 1."""
    flat = np.abs(unit[:, 2])
    if taper != 1.0:
        narrower = unit[:, 2] * (taper - 1) / 2 + (taper + 1) / 2
        across = np.abs(unit[:, :2]).max(-1) if kind == BOX else np.hypot(unit[:, 0], unit[:, 1])
        return 1.0 + np.maximum(across - narrower, flat - 1.0)
    if kind == BOX:
        return np.abs(unit).max(-1)
    if kind == BALL:
        return np.linalg.norm(unit, axis=-1)
    return np.maximum(np.hypot(unit[:, 0], unit[:, 1]), flat)


SOLIDS = [
    (BOX, 1.0),
    (BALL, 1.0),
    (CYLINDER, 1.0),
    (BOX, 0.4),
    (CYLINDER, 0.4),
    (BOX, 0.02),
    (CYLINDER, 0.02),
]
# the longest axis along z, upright, lying towards the rays, and away from them
AXES = [yaw_matrix(0.7), yaw_matrix(0.7)[:, [1, 2, 0]], -yaw_matrix(0.2)[:, [0, 2, 1]]]


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize(("kind", "taper"), SOLIDS)
def test_entry_is_the_first_point_on_the_surface(kind, taper, axes):
    shape = Shape(kind, np.array([0.1, 0.2, -0.1]), axes, np.array([0.5, 0.9, 0.7]), taper)
    origins, directions = rays()
    t = entry(shape, origins, directions)
    hit = np.isfinite(t)
    assert 20 < hit.sum() < 190

    def level(at):
        points = origins + directions * np.asarray(at)[:, None]
        return implicit(kind, (points - shape.centre) @ shape.axes / shape.half, taper)

    np.testing.assert_allclose(level(np.where(hit, t, 0))[hit], 1.0, atol=1e-9)
    # dense reference: march along each ray and see whether it is ever inside
    steps = np.linspace(0, 12, 4001)
    inside = np.stack([level(np.full(len(t), s)) < 1.0 for s in steps])
    touched = inside.any(0)
    assert (touched & ~hit).sum() == 0
    assert (hit & ~touched).sum() <= 2  # chords shorter than a step
    both = hit & touched
    np.testing.assert_allclose(steps[inside.argmax(0)][both], t[both], atol=2 * steps[1])


def test_misses():
    shape = Shape(BOX, np.zeros(3), np.eye(3), np.ones(3))
    behind = entry(shape, np.array([0.0, 3.0, 0.0]), np.array([[0.0, 1.0, 0.0]]))
    within = entry(shape, np.zeros(3), np.array([[0.0, 1.0, 0.0]]))
    beside = entry(shape, np.array([2.0, -3.0, 0.0]), np.array([[0.0, 1.0, 0.0]]))
    assert np.isinf([behind[0], within[0], beside[0]]).all()


@pytest.mark.parametrize("axes", [np.eye(3), *AXES])
@pytest.mark.parametrize(("kind", "taper"), SOLIDS)
def test_normals_are_gradients(kind, taper, axes):
    shape = Shape(kind, np.zeros(3), axes, np.array([0.5, 0.9, 0.7]), taper)
    origins, directions = rays()
    t = entry(shape, origins, directions)
    hit = np.isfinite(t)
    points = (origins + directions * np.where(hit, t, 0)[:, None])[hit] @ axes
    normals = local_normals(
        np.full(len(points), kind),
        points / shape.half,
        np.broadcast_to(shape.half, points.shape),
        np.full(len(points), taper),
    )
    step = 1e-6
    gradient = np.stack(
        [
            implicit(kind, (points + step * axis) / shape.half, taper)
            - implicit(kind, (points - step * axis) / shape.half, taper)
            for axis in np.eye(3)
        ],
        axis=-1,
    )
    gradient /= np.linalg.norm(gradient, axis=-1, keepdims=True)
    np.testing.assert_allclose((gradient * normals).sum(-1), 1.0, atol=1e-6)


def test_camera_projects_what_it_casts():
    camera = Camera.looking(np.array([1.0, 2.0, 1.5]), 0.8, -0.2, 0.03)
    np.testing.assert_allclose(camera.axes.T @ camera.axes, np.eye(3), atol=1e-12)
    assert np.linalg.det(camera.axes) == pytest.approx(1.0)
    assert camera.axes[2, 1] < -0.9  # the image's down is the room's down
    fx, fy, cx, cy = intrinsics(48, 64)
    points = camera.position + camera.rays(48, 64) * 2.5
    local = (points - camera.position) @ camera.axes
    np.testing.assert_allclose(local[..., 2], 2.5)
    v, u = np.mgrid[0:48, 0:64]
    np.testing.assert_allclose(fx * local[..., 0] / local[..., 2] + cx, u, atol=1e-9)
    np.testing.assert_allclose(fy * local[..., 1] / local[..., 2] + cy, v, atol=1e-9)


def test_window_holds_all_pixels_that_hit():
    camera = Camera.looking(np.array([0.0, 0.0, 1.5]), 0.3, -0.2, 0.02)
    directions = camera.rays(48, 64)
    rng = np.random.default_rng(1)
    seen = 0
    for _ in range(60):
        centre = rng.uniform([0.2, -2.0, 0.0], [5.0, 3.0, 2.5])
        shape = Shape(BOX, centre, yaw_matrix(rng.uniform(0, 3)), rng.uniform(0.05, 0.5, 3))
        hit = np.isfinite(entry(shape, camera.position, directions.reshape(-1, 3))).reshape(48, 64)
        window = camera.window(shape.corners(), 48, 64)
        kept = np.zeros_like(hit)
        if window is not None:
            kept[window] = True
        assert not (hit & ~kept).any()
        seen += hit.any()
    assert seen > 10
