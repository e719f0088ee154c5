"""A street from bare ground to the last walker, with its camera and weather."""

from __future__ import annotations

import numpy as np

from tabench.worlds.camera import Camera
from tabench.worlds.dice import Dice
from tabench.worlds.prefabs import build
from tabench.worlds.streets import traffic
from tabench.worlds.streets.frontage import line, pave
from tabench.worlds.streets.plan import GROUND_END, sample_plan
from tabench.worlds.streets.stereo import LENS
from tabench.worlds.surfaces import Material
from tabench.worlds.things import Scene, Thing
from tabench.worlds.weather import sample_weather


def sample_street(dice: Dice) -> Scene:
    """A street as a driver sees it."""
    plan = sample_plan(dice)
    camera = _camera(dice)
    scene = Scene(np.array([800.0, GROUND_END, 60.0]), camera, weather=sample_weather(dice))
    scene.put(sky(GROUND_END + 20.0))
    pave(dice, scene, plan)
    line(dice, scene, plan)
    for side in plan.sides:
        traffic.furnish(dice, scene, plan, side)
        traffic.park(dice, scene, plan, side)
    traffic.drive(dice, scene, plan)
    traffic.cross(dice, scene, plan)
    traffic.stroll(dice, scene, plan)
    if dice.chance(0.75):  # the bonnet of the car that carries the camera
        hood = build(dice, "hood", height=0.8)
        low = float(camera.position[2]) - dice.uniform(0.35, 0.41) - hood.height
        scene.put(hood, dice.uniform(-0.15, 0.15), 1.7, low)
    return scene


def sky(distance: float) -> Thing:
    """A screen behind everything that shows the weather's sky."""
    thing, white = Thing("sky", 2000.0, 1.0, 1000.0), Material("plain", (1.0, 1.0, 1.0))
    thing.box((0, distance, -100.0), (2000.0, 1.0, 1000.0), white, casts=False)
    return thing


def _camera(dice: Dice) -> Camera:
    """Behind a windscreen, looking ahead and a little down, as the dataset's calibration has it."""
    position = np.array([0.0, 0.0, dice.uniform(1.16, 1.32)])
    turn = 0.16 if dice.chance(0.25) else 0.05
    yaw, pitch = np.pi / 2 + dice.uniform(-turn, turn), -0.038 + dice.uniform(-0.012, 0.012)
    return Camera.looking(position, float(yaw), float(pitch), dice.uniform(-0.015, 0.015), LENS)
