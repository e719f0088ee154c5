"""Lamps lose strength with distance, the sun does not; both throw shadows."""

import numpy as np
import pytest

from tabench.worlds.scenes.camera import Camera
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.lighting import direct
from tabench.worlds.scenes.materials import material
from tabench.worlds.scenes.scene import Light, Scene
from tabench.worlds.scenes.thing import Thing

UP = np.array([0.0, 0.0, 1.0])


def lit(distant, points, *, roof=False):
    camera = Camera.looking(np.zeros(3), 0.0, 0.0, 0.0)
    scene = Scene(np.full(3, 100.0), camera)
    source = np.array([[0.0, 0.0, 400.0 if distant else 4.0]])
    scene.lights.append(Light(source, None, np.ones(3), distant=distant))
    if roof:
        thing = Thing("wall", 1.0, 1.0, 1.0)
        thing.box((0, 0, 1.5), (1.0, 1.0, 0.1), material(Dice(0), "plain", (0.5, 0.5, 0.5)))
        scene.put(thing, 0.0, 0.0, 0.0, 0.0)
    normals = np.broadcast_to(UP, points.shape)
    return direct(scene, points, normals, normals, np.zeros(len(points)))[0][:, 0]


def test_the_sun_is_as_strong_everywhere_and_a_lamp_is_not():
    points = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 2.0], [3.0, 0.0, 0.0]])
    np.testing.assert_allclose(lit(True, points), 1.0, atol=1e-4)
    near, nearer, aside = lit(False, points)
    assert nearer == pytest.approx(1 / (4 + 0.6), rel=1e-2)
    assert near == pytest.approx(1 / (16 + 0.6), rel=1e-2)
    assert aside == pytest.approx(0.8 / (25 + 0.6), rel=1e-2)


@pytest.mark.parametrize("distant", [True, False])
def test_what_is_under_a_roof_is_dark(distant):
    strength = lit(distant, np.array([[0.0, 0.0, 0.0], [5.0, 0.0, 0.0]]), roof=True)
    assert strength[0] == 0
    assert strength[1] > 0
