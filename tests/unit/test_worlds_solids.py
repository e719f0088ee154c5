"""Solids, light and floor plans of all worlds against their formulas."""

import itertools

import numpy as np
import pytest

from tabench.worlds.camera import Camera, intrinsics
from tabench.worlds.dice import Dice
from tabench.worlds.floor import Area, Spot, heading
from tabench.worlds.lighting import Occluders, direct
from tabench.worlds.prefabs import PREFABS, build, read_table
from tabench.worlds.scenes.rooms import sample_room
from tabench.worlds.shapes import BALL, BOX, CYLINDER, Shape, entry, local_normals, yaw_matrix
from tabench.worlds.surfaces import Material
from tabench.worlds.things import Light, Scene, Thing


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


@pytest.mark.parametrize("axes", [np.eye(3), *AXES])
@pytest.mark.parametrize(("kind", "taper"), SOLIDS)
def test_entry_is_the_first_point_on_the_surface_and_normals_are_gradients(kind, taper, axes):
    shape = Shape(kind, np.array([0.1, 0.2, -0.1]), axes, np.array([0.5, 0.9, 0.7]), taper)
    origins, directions = rays()
    t = entry(shape, origins, directions)
    hit = np.isfinite(t)
    assert 20 < hit.sum() < 190

    def level(at):
        points = origins + directions * np.asarray(at)[:, None]
        return implicit(kind, (points - shape.centre) @ shape.axes / shape.half, taper)

    np.testing.assert_allclose(level(np.where(hit, t, 0))[hit], 1.0, atol=1e-9)
    assert np.isinf(entry(shape, shape.centre, directions)).all()  # from within
    points = ((origins + directions * np.where(hit, t, 0)[:, None])[hit] - shape.centre) @ axes
    halves = np.broadcast_to(shape.half, points.shape)
    normals = local_normals(np.full(hit.sum(), kind), points / halves, halves, np.full(hit.sum(), taper))
    steps = 1e-6 * np.stack([np.eye(3), -np.eye(3)], axis=1)
    sides = [[implicit(kind, (points + step) / halves, taper) for step in pair] for pair in steps]
    gradient = np.stack([above - below for above, below in sides], axis=-1)
    gradient /= np.linalg.norm(gradient, axis=-1, keepdims=True)
    np.testing.assert_allclose((gradient * normals).sum(-1), 1.0, atol=1e-6)
    # dense reference: march along each ray and see whether it is ever inside
    steps = np.linspace(0, 12, 4001)
    inside = np.stack([level(np.full(len(t), s)) < 1.0 for s in steps])
    touched = inside.any(0)
    assert (touched & ~hit).sum() == 0
    assert (hit & ~touched).sum() <= 2  # chords shorter than a step
    both = hit & touched
    np.testing.assert_allclose(steps[inside.argmax(0)][both], t[both], atol=2 * steps[1])


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


TABLE = """
@stool:chair .4 .4 .5 0 -- a comment
box xy .15 .1 0  .04 .04 .4 wood
box . 0 0 .4  .4 .4 .1 cloth ?soft.5
box . 0 0 .4  .4 .4 .05 wood2 !soft
ball x .1 0 .5  .1 .1 .1 cushion =pillow #pillow -
rod . 0 0 .1  .1 0 .1  .01 steels *3z.1 o
"""


def test_a_table_is_read_as_it_says(monkeypatch):
    monkeypatch.setitem(PREFABS, "stool", read_table(TABLE)["stool"])
    seats = set()
    for seed in range(12):
        thing = build(Dice(seed), "stool", width=0.8)
        assert (thing.label, thing.width, thing.depth, thing.height) == ("chair", 0.8, 0.4, 0.5)
        legs, seat, pillows, rungs = (thing.pieces[a:b] for a, b in ((0, 4), (4, 5), (5, 7), (7, 13)))
        assert {tuple(leg.shape.centre.round(9)) for leg in legs} == {
            (x, y, 0.2) for x in (-0.3, 0.3) for y in (-0.1, 0.1)
        }
        assert len({id(piece.material) for piece in legs + rungs}) == 2
        seats.add((seat[0].material is legs[0].material, seat[0].shape.half[2].round(9)))
        assert [(p.label, p.group, p.casts) for p in pillows] == [
            ("pillow", "pillow0", False),
            ("pillow", "pillow1", False),
        ]
        assert [p.shape.kind for p in rungs] == [CYLINDER, BALL] * 3
        assert [p.shape.centre[2].round(9) for p in rungs[::2]] == [0.1, 0.2, 0.3]
    assert seats == {(False, 0.05), (False, 0.025)}
    with pytest.raises(KeyError):
        read_table("@a 1 1 1 0\nbox . 0 0 0 1 1 1 wood &")


def test_prefabs_fill_their_footprints():
    for name in sorted(set(PREFABS) - {"lamppost", "trafficlight"}):  # which reach over the road
        for seed in range(3):
            thing = build(Dice(seed), name)
            corners = np.concatenate([piece.shape.corners() for piece in thing.pieces])
            low, high = corners.min(0), corners.max(0)
            assert low[2] > -0.36
            assert 0.7 * thing.height < high[2] < 1.25 * thing.height + 0.15
            for axis, size in ((0, thing.width), (1, thing.depth)):
                assert 0.5 * size < high[axis] - low[axis] < 1.4 * size + 0.8, name


def test_a_lamp_loses_strength_with_distance_and_throws_shadows():
    scene = Scene(np.full(3, 100.0), Camera.looking(np.zeros(3), 0.0, 0.0, 0.0))
    scene.lights.append(Light(np.array([[0.0, 0.0, 4.0]]), None, np.ones(3)))
    points = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
    normals = np.broadcast_to([0.0, 0.0, 1.0], points.shape)

    def lit():
        return direct(scene, points, normals, normals, np.zeros(len(points)))[0][:, 0]

    expected = [1 / (16 + 0.6), 1 / (4 + 0.6), 0.8 / (25 + 0.6)]
    assert lit() == pytest.approx(expected, rel=1e-2)
    roof = Thing("wall", 1.0, 1.0, 1.0)
    roof.box((0, 0, 1.5), (1.0, 1.0, 0.1), Material("plain", (0.5, 0.5, 0.5)))
    scene.put(roof)
    dark, nearer, aside = lit()
    assert dark == 0
    assert [nearer, aside] == pytest.approx(expected[1:], rel=1e-2)


@pytest.fixture(scope="module")
def rooms():
    return [sample_room(Dice(11, 0, i)) for i in range(12)]


def test_furniture_stands_free(rooms):
    total = 0
    for floor in rooms:
        scene = floor.scene
        for a, b in itertools.combinations(floor.spots, 2):
            assert not a.meets(b, 0.0)
        for spot in floor.spots:
            corners = spot.corners()
            assert (corners > 0).all()
            assert (corners < floor.sides).all()
            assert not spot.meets(Spot(*floor.eye, 0.2, 0.2, spot.yaw), 0.0)
        total += len(floor.spots)
        for piece in scene.pieces:
            if piece.label not in ("wall", "floor", "ceiling"):
                height = piece.shape.corners()[:, 2]
                assert -0.01 < height.min() < height.max() < scene.size[2] + 0.26  # lamps are let in
    assert total / len(rooms) > 4


def test_rectangles_meet_where_they_share_a_point():
    rng = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, 41)] * 2), axis=-1).reshape(-1, 2)
    outcomes = []
    for _ in range(150):
        a = Spot(0, 0, *rng.uniform(0.2, 0.8, 2), rng.uniform(0, 3))
        b = Spot(*rng.uniform(-1.2, 1.2, 2), *rng.uniform(0.2, 0.8, 2), rng.uniform(0, 3))
        points = grid * [a.half_width, a.half_depth] @ heading(a.yaw)
        inside = np.abs((points - [b.x, b.y]) @ heading(b.yaw).T) - [b.half_width, b.half_depth]
        nearest = inside.max(1).min()
        assert nearest > 0 or a.meets(b, 0.0)
        assert nearest < 0.05 or not a.meets(b, 0.0)
        outcomes.append(nearest < 0)
    assert 20 < sum(outcomes) < 130


def test_walls_face_inwards_and_hold_one_thing_at_a_place(rooms):
    floor = rooms[0]
    for wall in range(4):
        x, y = floor.at_wall(wall, 1.0, 0.5)
        np.testing.assert_array_less([0, 0], [x, y])
        np.testing.assert_array_less([x, y], floor.sides)
    assert all(not a.overlaps(b) for a, b in itertools.combinations(floor.hung, 2))
    assert Area(1, 1.5, 2.5, 0.5, 1.5).overlaps(Area(1, 2.2, 2.7, 1.0, 2.0))
    assert not Area(1, 1.5, 2.5, 0.5, 1.5).overlaps(Area(2, 1.5, 2.5, 0.5, 1.5))


def test_shadows_equal_brute_force(rooms):
    """Culling by bounding balls must not change which points are in shadow."""
    scene = rooms[0].scene
    rng = np.random.default_rng(0)
    points = rng.uniform([0.1, 0.1, 0.02], scene.size - 0.3, (800, 3))
    target = scene.lights[-1].points[0]
    expected = np.zeros(len(points), dtype=bool)
    for piece in scene.pieces:
        if piece.casts:
            expected |= entry(piece.shape, points, target - points) < 1.0
    assert 0.02 < expected.mean() < 0.9
    np.testing.assert_array_equal(Occluders(scene).blocked(points, target), expected)
