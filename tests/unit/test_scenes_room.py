"""Rooms make sense: nothing stands in anything else, in a wall, or in the camera."""

import itertools

import numpy as np
import pytest

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.floorplan import FloorPlan, Spot, walls
from tabench.worlds.scenes.lighting import Occluders
from tabench.worlds.scenes.rooms import sample_room
from tabench.worlds.scenes.shapes import entry


@pytest.fixture(scope="module")
def rooms():
    return [sample_room(Dice(11, 0, i)) for i in range(25)]


def test_furniture_stands_free(rooms):
    total = 0
    for _, plan in rooms:
        for a, b in itertools.combinations(plan.spots, 2):
            assert not a.meets(b, 0.0)
        for spot in plan.spots:
            corners = spot.corners()
            assert (corners > 0).all()
            assert (corners < [plan.width, plan.depth]).all()
            assert not spot.holds(*plan.eye, 0.25)
        total += len(plan.spots)
    assert total / len(rooms) > 4


def test_rooms_and_cameras_are_human(rooms):
    for scene, plan in rooms:
        assert (scene.size[:2] >= 3.0).all()
        assert (scene.size[:2] <= 6.0).all()
        assert 1.2 <= scene.camera.position[2] <= 1.8
        assert 0.3 < scene.camera.position[0] < plan.width - 0.3
        assert scene.lights
        for piece in scene.pieces:
            if piece.label not in ("wall", "floor", "ceiling"):
                corners = piece.shape.corners()
                assert corners[:, 2].min() > -0.01
                assert corners[:, 2].max() < scene.size[2] + 0.26  # lamps are let into the ceiling


def test_rectangles_meet_like_sampled_ones():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 41)] * 2), axis=-1).reshape(-1, 2)
    outcomes = []
    for _ in range(150):
        a = Spot(0, 0, *rng.uniform(0.2, 0.8, 2), rng.uniform(0, 3))
        b = Spot(*rng.uniform(-1.2, 1.2, 2), *rng.uniform(0.2, 0.8, 2), rng.uniform(0, 3))
        c, s = np.cos(a.yaw), np.sin(a.yaw)
        points = grid * [a.half_width, a.half_depth] @ np.array([[c, s], [-s, c]])
        sampled = any(b.holds(x, y, 0.0) for x, y in points)
        if sampled:
            assert a.meets(b, 0.0)
        elif a.meets(b, 0.0):
            assert any(b.holds(x, y, 0.05) for x, y in points)
        outcomes.append(sampled)
    assert 20 < sum(outcomes) < 130


def test_walls_face_inwards_and_furniture_fronts_follow():
    for wall in walls(4.0, 5.0):
        x, y = wall.at(wall.length / 2, 0.5)
        assert 0 < x < 4.0
        assert 0 < y < 5.0
        front = np.array([-np.sin(wall.yaw), np.cos(wall.yaw)])
        np.testing.assert_allclose(front, wall.inward, atol=1e-12)


def test_taken_wall_is_not_free():
    plan = FloorPlan(4, 4, (2, 0.5), (0, 1))
    plan.use_wall(1, 2.0, 1.0, 0.5, 1.5)
    assert not plan.wall_free(1, 2.4, 0.5, 1.0, 2.0)
    assert plan.wall_free(1, 2.8, 0.5, 1.0, 2.0)
    assert plan.wall_free(1, 2.0, 1.0, 1.5, 2.0)
    assert plan.wall_free(2, 2.0, 1.0, 0.5, 1.5)


def test_shadows_equal_brute_force(rooms):
    """Culling by bounding balls must not change which points are in shadow."""
    scene = rooms[0][0]
    rng = np.random.default_rng(0)
    points = rng.uniform([0.1, 0.1, 0.02], scene.size - 0.3, (800, 3))
    target = scene.lights[-1].points[0]
    expected = np.zeros(len(points), dtype=bool)
    for piece in scene.pieces:
        if piece.casts:
            expected |= entry(piece.shape, points, target - points) < 1.0
    assert 0.02 < expected.mean() < 0.9
    np.testing.assert_array_equal(Occluders(scene).blocked(points, target), expected)
