"""A room from bare shell to last picture, with its camera and lights."""

from __future__ import annotations

import numpy as np

from tabench.worlds.scenes import clutter, fixtures
from tabench.worlds.scenes.camera import Camera
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.floorplan import FloorPlan
from tabench.worlds.scenes.layout import Furnisher
from tabench.worlds.scenes.programmes import PROGRAMMES
from tabench.worlds.scenes.scene import Light, Scene
from tabench.worlds.scenes.shell import shell

_ROOMS_TRIED = 6
_LEAST_SEEN = 4


def sample_scene(dice: Dice) -> Scene:
    """A furnished room with a camera and lights; views of bare walls are drawn again."""
    for _ in range(_ROOMS_TRIED):
        scene, plan = sample_room(dice)
        if sum(plan.seen(spot.x, spot.y, 30.0) for spot in plan.spots) >= _LEAST_SEEN:
            break
    return scene


def sample_room(dice: Dice) -> tuple[Scene, FloorPlan]:
    """Any furnished room with its floor plan, whatever the camera sees of it."""
    width, depth, height = dice.uniform(3.0, 6.0), dice.uniform(3.0, 6.0), dice.uniform(2.35, 2.9)
    camera, plan = _camera(dice, width, depth)
    scene = Scene(np.array([width, depth, height]), camera, scatter=dice.uniform(0.12, 0.3))
    for part in shell(dice, width, depth, height):
        scene.put(part, 0.0, 0.0, 0.0, 0.0)
    furnisher = Furnisher(dice, scene, plan)
    openings(furnisher)
    dice.pick(PROGRAMMES)(furnisher)
    _decorate(furnisher)
    ceiling(furnisher)
    return scene, plan


def _camera(dice: Dice, width: float, depth: float) -> tuple[Camera, FloorPlan]:
    """Near a wall or corner, looking across the room."""
    for _ in range(60):
        x, y = dice.uniform(0.35, width - 0.35), dice.uniform(0.35, depth - 0.35)
        aim_x, aim_y = width * dice.uniform(0.3, 0.7), depth * dice.uniform(0.3, 0.7)
        yaw = float(np.arctan2(aim_y - y, aim_x - x)) + dice.uniform(-0.25, 0.25)
        c, s = np.cos(yaw), np.sin(yaw)
        ahead = min(((width if c > 0 else 0) - x) / c, ((depth if s > 0 else 0) - y) / s)
        if ahead > 0.72 * min(np.hypot(width, depth), 5.0):
            break
    pitch, roll = np.radians(dice.uniform(-25, -4)), np.radians(dice.uniform(-2, 2))
    position = np.array([x, y, dice.uniform(1.2, 1.8)])
    camera = Camera.looking(position, yaw, float(pitch), float(roll))
    return camera, FloorPlan(width, depth, (x, y), (float(c), float(s)))


def openings(f: Furnisher) -> None:
    """Windows that light the room, and perhaps a door."""
    dice = f.dice
    for _ in range(dice.pick((1, 1, 2, 2, 0))):
        pane = fixtures.window(dice, dice.uniform(0.7, 1.9), dice.uniform(0.9, 1.4))
        low = dice.uniform(0.75, 1.0)
        found = f.on_wall(pane, low, seen=dice.chance(0.7), slack=0.2)
        if found is None:
            continue
        wall, u = found
        spread = pane.width / 3
        points = [
            (*wall.at(u + side * spread, 0.16), low + pane.height / 2 + up)
            for side, up in ((-1, 0.2), (1, -0.1))
        ]
        sky = np.array([0.92, 0.97, 1.05]) * dice.uniform(2.5, 5.5) * pane.width * pane.height
        f.scene.lights.append(Light(np.array(points), np.array([*wall.inward, 0.0]), sky))
    if dice.chance(0.5):
        f.on_wall(fixtures.door(dice), 0.0, seen=dice.chance(0.6))


def ceiling(f: Furnisher) -> None:
    """The lamp under the ceiling."""
    dice, (width, depth, height) = f.dice, f.scene.size
    lamp = fixtures.ceiling_lamp(dice)
    x, y = width * dice.uniform(0.4, 0.6), depth * dice.uniform(0.4, 0.6)
    low = height - lamp.height
    if np.hypot(x - f.plan.eye[0], y - f.plan.eye[1]) > 0.8:
        f.scene.put(lamp, x, y, low, 0.0)
    warm = np.array([1.05, 0.97, dice.uniform(0.75, 0.95)])
    power = warm * dice.uniform(1.5, 4.5) * (0.25 if f.scene.lights and dice.chance(0.4) else 1.0)
    spread = [(0.15, 0.1), (-0.15, 0.1), (0.0, -0.18)]
    points = np.array([(x + dx, y + dy, low - 0.05) for dx, dy in spread])
    f.scene.lights.append(Light(points, None, power))


def _decorate(f: Furnisher) -> None:
    dice = f.dice
    for _ in range(dice.integer(0, 4)):
        wide, tall = dice.uniform(0.3, 0.9), dice.uniform(0.3, 0.7)
        f.on_wall(fixtures.picture(dice, wide, tall), dice.uniform(1.25, 1.6))
    if dice.chance(0.3):
        f.free(clutter.plant(dice, 1.1))
    if dice.chance(0.5):
        f.free(clutter.basket(dice))
    if dice.chance(0.15):
        f.free(clutter.book_pile(dice))
