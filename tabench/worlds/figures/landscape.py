"""The world outdoors: sky, ground, sun, and what stands far off."""

from __future__ import annotations

import numpy as np

from tabench.worlds.figures.solids import block, bone, ellipsoid
from tabench.worlds.figures.stage import Stage
from tabench.worlds.figures.surfaces import SKY_GLOW
from tabench.worlds.scenes.camera import Camera
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.floorplan import FloorPlan
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import Colour, darker, shade
from tabench.worlds.scenes.scene import Light, Scene
from tabench.worlds.scenes.thing import Thing

WIDTH, DEPTH = 120.0, 100.0
_EYE = (WIDTH / 2, 3.0)
_SUN = 400.0  # metres to the sun: near enough for its light to be parallel
BRICKS: tuple[Colour, ...] = (
    (0.62, 0.36, 0.27),
    (0.75, 0.68, 0.56),
    (0.82, 0.79, 0.74),
    (0.52, 0.45, 0.42),
    (0.7, 0.55, 0.45),
)


def outdoors(dice: Dice, ground: Material, label: str, eye: tuple[float, float] = (0.9, 1.7)) -> Stage:
    """An open plain under the sky with a camera that looks across it.

    Args:
        dice: Random choices.
        ground: Surface of the plain.
        label: Its class.
        eye: Least and greatest height of the camera in metres.
    """
    yaw = np.pi / 2 + dice.uniform(-0.15, 0.15)
    camera = Camera.looking(np.array([*_EYE, dice.uniform(*eye)]), float(yaw), 0.0, 0.0)
    plan = FloorPlan(WIDTH, DEPTH, _EYE, (float(np.cos(yaw)), float(np.sin(yaw))))
    scene = Scene(np.array([WIDTH, DEPTH, 60.0]), camera, scatter=dice.uniform(0.45, 0.75))
    plain = Thing(label, WIDTH, DEPTH, 0.0)
    block(plain, (WIDTH / 2, DEPTH / 2, -0.5), (2 * WIDTH, DEPTH, 0.5), ground)
    scene.put(plain, 0, 0, 0, 0)
    _sky(scene, dice)
    _sun(scene, dice)
    return Stage(dice, scene, plan)


def _sky(scene: Scene, dice: Dice) -> None:
    zenith = dice.pick(((0.25, 0.45, 0.80), (0.35, 0.55, 0.85), (0.55, 0.62, 0.70), (0.30, 0.38, 0.62)))
    horizon = dice.pick(((0.80, 0.88, 0.95), (0.88, 0.88, 0.88), (0.95, 0.85, 0.75)))
    air = material(dice, "sky", horizon, zenith, scale=dice.uniform(0.25, 0.6), glow=SKY_GLOW)
    dome = Thing("sky", 0, 0, 0)
    block(dome, (WIDTH / 2, DEPTH + 0.5, 298.0), (800.0, 0.5, 300.0), air)
    for piece in dome.moved(0, 0, 0, 0):
        scene.pieces.append(piece)
        scene.instances.append(max(scene.instances, default=0) + 1)
        scene.things.append(max(scene.things, default=-1) + 1)


def _sun(scene: Scene, dice: Dice) -> None:
    bearing, rise = dice.uniform(-2.6, -0.5), dice.uniform(0.45, 1.1)  # behind or beside the camera
    if dice.chance(0.2):
        bearing = -bearing
    way = np.array([np.cos(bearing) * np.cos(rise), np.sin(bearing) * np.cos(rise), np.sin(rise)])
    power = np.array([1.06, 1.0, dice.uniform(0.82, 0.95)]) * dice.pick((1.7, 1.7, 1.2, 0.4))
    scene.lights.append(Light((np.array([*_EYE, 0.0]) + _SUN * way)[None], None, power, distant=True))


def tree(dice: Dice) -> Thing:
    """A broad-leaved tree or a fir."""
    height = dice.uniform(5.0, 10.0)
    thing = Thing("tree", 0.45 * height, 0.45 * height, height)
    bark = material(dice, "wood", shade(dice, ((0.33, 0.25, 0.18), (0.42, 0.36, 0.28))))
    dark = shade(dice, ((0.07, 0.17, 0.05), (0.10, 0.20, 0.06), (0.16, 0.18, 0.05)), 0.03)
    leaves = material(dice, "foliage", (dark[0] + 0.16, dark[1] + 0.22, dark[2] + 0.08), dark)
    trunk = 0.035 * height
    if dice.chance(0.3):
        bone(thing, (0, 0, 0), (0, 0, 0.3 * height), (trunk, trunk), bark)
        for k in range(4):
            low = (0.12 + 0.2 * k) * height
            bone(thing, (0, 0, low), (0, 0, low + 0.3 * height), ((0.2 - 0.04 * k) * height, 0.01), leaves)
        return thing
    bone(thing, (0, 0, 0), (0, 0, 0.5 * height), (trunk, 0.6 * trunk), bark)
    for _ in range(7):
        x, y = dice.uniform(-0.16, 0.16) * height, dice.uniform(-0.16, 0.16) * height
        half = dice.uniform(0.11, 0.19) * height
        ellipsoid(thing, (x, y, dice.uniform(0.45, 0.83) * height), (half, half, 0.85 * half), leaves)
    return thing


def house(dice: Dice) -> Thing:
    """A building with windows, flat or with a roof."""
    width, depth, floors = dice.uniform(7.0, 16.0), dice.uniform(6.0, 10.0), dice.integer(1, 5)
    height = 2.9 * floors + 0.4
    thing = Thing("building", width, depth, height)
    wall = material(dice, "facade", shade(dice, BRICKS), scale=dice.uniform(1.6, 2.8))
    block(thing, (0, 0, height / 2), (width / 2, depth / 2, height / 2), wall)
    if floors <= 3 and dice.chance(0.7):
        slate = material(dice, "gravel", shade(dice, ((0.35, 0.2, 0.16), (0.25, 0.25, 0.28))))
        block(thing, (0, 0, height + 1.1), (width / 2 + 0.4, depth / 2 + 0.4, 1.1), slate, taper=0.35)
    door = material(dice, "wood", (0.35, 0.2, 0.12))
    block(thing, (dice.uniform(-0.3, 0.3) * width, depth / 2, 1.05), (0.5, 0.06, 1.05), door)
    return thing


def fence(dice: Dice, width: float) -> Thing:
    """Posts and rails."""
    thing, wood = (
        Thing("fence", width, 0.12, 1.1),
        material(dice, "wood", shade(dice, ((0.5, 0.4, 0.3), (0.85, 0.84, 0.8)))),
    )
    for x in np.arange(-width / 2, width / 2 + 0.1, 2.0):
        block(thing, (x, 0, 0.55), (0.06, 0.06, 0.55), wood)
    for z in (0.4, 0.9):
        block(thing, (0, 0, z), (width / 2, 0.03, 0.06), wood)
    return thing


def hills(stage: Stage) -> None:
    """Rounded hills at the horizon."""
    dice, thing = stage.dice, Thing("mountain", 0, 0, 0)
    tint = dice.pick(((0.34, 0.42, 0.28), (0.42, 0.46, 0.5), (0.3, 0.36, 0.3)))
    for _ in range(dice.integer(1, 4)):
        skin = material(dice, "foliage", tint, darker(tint, 0.8))
        half = (dice.uniform(15, 45), 8.0, dice.uniform(4, 14))
        ellipsoid(thing, (WIDTH / 2 + dice.uniform(-55, 55), DEPTH - 9.0, -0.5), half, skin)
    stage.scene.put(thing, 0, 0, 0, 0)


def trees(stage: Stage, count: int, near: float = 16.0, far: float = 45.0) -> None:
    """Trees in the middle distance."""
    for _ in range(count):
        stage.place(tree(stage.dice), near, far, aside=0.62)


def row_of_houses(stage: Stage, distance: float) -> None:
    """Buildings side by side across the view."""
    dice, x = stage.dice, WIDTH / 2 - 48.0
    while x < WIDTH / 2 + 48.0:
        home = house(dice)
        if dice.chance(0.85):
            y = _EYE[1] + distance + home.depth / 2 + dice.uniform(0.0, 1.5)
            stage.scene.put(home, x + home.width / 2, y, 0.0, np.pi)
        x += home.width + dice.pick((0.0, 0.3, 3.0))
