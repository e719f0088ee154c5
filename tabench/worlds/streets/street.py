"""A street from bare ground to the last walker, with its camera and weather."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabench.worlds.scenes.camera import Camera
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import Material
from tabench.worlds.scenes.scene import Scene
from tabench.worlds.scenes.thing import Thing
from tabench.worlds.streets import furniture, traffic
from tabench.worlds.streets.frontage import line_street
from tabench.worlds.streets.ground import ground
from tabench.worlds.streets.plan import GROUND_END, Plan, sample_plan
from tabench.worlds.streets.stereo import LENS
from tabench.worlds.streets.weather import Weather, sample_weather

_SKY_AT = GROUND_END + 20.0


@dataclass(frozen=True)
class Street:
    """A street, ready to be rendered.

    Attributes:
        scene: Its pieces and the camera; a piece's label is one of the 7 categories or "void".
        weather: What lights it.
        plan: How it is laid out.
    """

    scene: Scene
    weather: Weather
    plan: Plan


def sample_street(dice: Dice) -> Street:
    """A street as a driver sees it."""
    plan = sample_plan(dice)
    camera = _camera(dice)
    scene = Scene(np.array([800.0, GROUND_END, 60.0]), camera)
    sky = Thing("sky", 2000.0, 1.0, 900.0)
    sky.box((0, _SKY_AT, -100.0), (2000.0, 1.0, 1000.0), Material("plain", (1.0, 1.0, 1.0)), casts=False)
    for thing in [sky, *ground(dice, plan)]:
        scene.put(thing, 0.0, 0.0, 0.0, 0.0)
    line_street(dice, scene, plan)
    for side in plan.sides:
        traffic.furnish(dice, scene, plan, side)
        traffic.park(dice, scene, plan, side)
    traffic.drive(dice, scene, plan)
    traffic.cross(dice, scene, plan)
    traffic.walk(dice, scene, plan)
    if dice.chance(0.75):
        scene.put(furniture.hood(dice, float(camera.position[2])), 0.0, 0.0, 0.0, 0.0)
    return Street(scene, sample_weather(dice), plan)


def _camera(dice: Dice) -> Camera:
    """Behind a windscreen, looking ahead and a little down, as the dataset's calibration has it."""
    position = np.array([0.0, 0.0, dice.uniform(1.16, 1.32)])
    turn = 0.16 if dice.chance(0.25) else 0.05
    yaw, pitch = np.pi / 2 + dice.uniform(-turn, turn), -0.038 + dice.uniform(-0.012, 0.012)
    return Camera.looking(position, float(yaw), float(pitch), dice.uniform(-0.015, 0.015), LENS)
