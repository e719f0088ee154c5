"""A room from bare shell to last picture, with its camera and lights."""

from __future__ import annotations

import numpy as np

from tabench.worlds.camera import Camera
from tabench.worlds.dice import Dice, Floats
from tabench.worlds.floor import Floor, heading
from tabench.worlds.prefabs import build
from tabench.worlds.scenes.programmes import furnish
from tabench.worlds.surfaces import material
from tabench.worlds.things import Light, Scene, Thing

_ROOMS_TRIED = 6
_LEAST_SEEN = 4
_THICK, _SKIRTING = 0.2, 0.016


def sample_scene(dice: Dice) -> Scene:
    """A furnished room with a camera and lights; views of bare walls are drawn again."""
    for _ in range(_ROOMS_TRIED):
        floor = sample_room(dice)
        if sum(floor.seen(spot.x, spot.y, 30.0) for spot in floor.spots) >= _LEAST_SEEN:
            break
    return floor.scene


def sample_room(dice: Dice) -> Floor:
    """Any furnished room, whatever the camera sees of it."""
    size = np.array([dice.uniform(3.0, 6.0), dice.uniform(3.0, 6.0), dice.uniform(2.35, 2.9)])
    f = bare_room(dice, size, _camera(dice, size), scatter=dice.uniform(0.12, 0.3))
    furnish(f)
    return f


def _camera(dice: Dice, size: Floats) -> Camera:
    """Near a wall or corner, looking across the room."""
    width, depth = size[:2].tolist()
    for _ in range(60):
        x, y = dice.uniform(0.35, width - 0.35), dice.uniform(0.35, depth - 0.35)
        aim_x, aim_y = width * dice.uniform(0.3, 0.7), depth * dice.uniform(0.3, 0.7)
        yaw = float(np.arctan2(aim_y - y, aim_x - x)) + dice.uniform(-0.25, 0.25)
        c, s = np.cos(yaw), np.sin(yaw)
        ahead = min(((width if c > 0 else 0) - x) / c, ((depth if s > 0 else 0) - y) / s)
        if ahead > 0.72 * min(np.hypot(width, depth), 5.0):
            break
    pitch, roll = np.radians(dice.uniform(-25, -4)), np.radians(dice.uniform(-2, 2))
    return Camera.looking(np.array([x, y, dice.uniform(1.2, 1.8)]), yaw, float(pitch), float(roll))


def bare_room(dice: Dice, size: Floats, camera: Camera, scatter: float) -> Floor:
    """A room with windows and a lamp that light it, and perhaps a door, to be furnished."""
    scene = Scene(size, camera, scatter=scatter)
    for part in _shell(dice, *size.tolist()):
        scene.put(part)
    f = Floor(dice, scene)
    for _ in range(dice.pick((1, 1, 2, 2, 0))):
        pane = build(dice, "window", width=dice.uniform(0.7, 1.9), height=dice.uniform(0.9, 1.4))
        low = dice.uniform(0.75, 1.0)
        place = f.on_wall(pane, low, seen=dice.chance(0.7), slack=0.2)
        if place is not None:
            wall, u = place
            points = [
                (*f.at_wall(wall, u + side * pane.width / 3, 0.16), low + pane.height / 2 + up)
                for side, up in ((-1, 0.2), (1, -0.1))
            ]
            sky = np.array([0.92, 0.97, 1.05]) * dice.uniform(2.5, 5.5) * pane.width * pane.height
            inward = np.append(heading(wall * np.pi / 2)[1], 0.0)
            scene.lights.append(Light(np.array(points), inward, sky))
    if dice.chance(0.5):
        f.on_wall(build(dice, "door"), 0.0, seen=dice.chance(0.6))
    _ceiling_lamp(f)
    return f


def _shell(dice: Dice, width: float, depth: float, height: float) -> list[Thing]:
    """Six slabs around the room, in room coordinates, with skirting boards.

    They throw no shadows: nothing outside them gives light.
    """
    t, middle = _THICK, (width / 2, depth / 2)
    floor, ceiling = Thing("floor", width, depth, 0.0), Thing("ceiling", width, depth, height)
    over = (width + 2 * t, depth + 2 * t, t)
    cover = material(dice, dice.pick(("boards", "boards", "pile", "pile", "tiles")))
    floor.box((*middle, -t), over, cover, casts=False)
    ceiling.box((*middle, height), over, material(dice, "ceiling"), casts=False)
    common, trim = material(dice, "wallpaper"), material(dice, "skirting")
    accent = material(dice, "wallpaper") if dice.chance(0.35) else common
    chosen = dice.integer(0, 3)
    out = [floor, ceiling]
    for k, (x, y) in enumerate(((0, -1), (1, 0), (0, 1), (-1, 0))):
        wall = Thing("wall", width, depth, height)
        size = np.array([_SKIRTING if x else width, _SKIRTING if y else depth, 0.09])
        place = np.array([middle[0] * (1 + x), middle[1] * (1 + y), -t])
        thick = np.array([t if x else width + 2 * t, t if y else depth + 2 * t, height + 2 * t])
        shift = np.array([x, y, 0.0])
        wall.box(place + shift * t / 2, thick, accent if k == chosen else common, casts=False)
        wall.box(place - shift * _SKIRTING / 2 + [0, 0, t], size, trim, casts=False)
        out.append(wall)
    return out


def _ceiling_lamp(f: Floor) -> None:
    """Hang a lamp, which lights the room."""
    dice, (width, depth, height) = f.dice, f.scene.size
    lamp = build(dice, dice.pick(("ceilinglamp", "pendant")))
    x, y = width * dice.uniform(0.4, 0.6), depth * dice.uniform(0.4, 0.6)
    low = height - lamp.height
    if np.hypot(x - f.eye[0], y - f.eye[1]) > 0.8:
        f.scene.put(lamp, x, y, low)
    warm = np.array([1.05, 0.97, dice.uniform(0.75, 0.95)])
    power = warm * dice.uniform(1.5, 4.5) * (0.25 if f.scene.lights and dice.chance(0.4) else 1.0)
    points = np.array([(x + dx, y + dy, low - 0.05) for dx, dy in ((0.15, 0.1), (-0.15, 0.1), (0, -0.18))])
    f.scene.lights.append(Light(points, None, power))
