"""The ground of a street, its sky, and what lines it: houses, gardens, walls, hedges, woods."""

from __future__ import annotations

import numpy as np

from tabench.worlds.dice import Dice
from tabench.worlds.patterns import STOREY
from tabench.worlds.prefabs import build
from tabench.worlds.streets.plan import BEHIND, GROUND_END, KERB, SEEN, Plan, Side
from tabench.worlds.surfaces import Material, material
from tabench.worlds.things import Scene, Thing

_WIDE = 420.0  # metres to which the land reaches left and right
_FAR_ROW = 240.0  # metres to which closed rows of houses go on
_PLAIN = 0.1  # an asphalt pattern of this scale has no markings


def sky(distance: float) -> Thing:
    """A screen behind everything that shows the weather's sky."""
    thing, white = Thing("sky", 2000.0, 1.0, 1000.0), Material("plain", (1.0, 1.0, 1.0))
    thing.box((0, distance, -100.0), (2000.0, 1.0, 1000.0), white, casts=False)
    return thing


def house(dice: Dice, width: float, storeys: int) -> Thing:
    """A block of flats or offices, with a shop below some; its front is at +y."""
    height = storeys * STOREY + dice.uniform(0.4, 1.0)
    thing = build(dice, "townhouse", width=width, depth=dice.uniform(9.0, 13.0), height=height)
    if dice.chance(0.45):
        thing.include(build(dice, "shop", width=width), 0.0, thing.depth / 2 - 0.4, 0.0, 0.0, "")
    return thing


def pave(dice: Dice, scene: Scene, plan: Plan) -> None:
    """All level surfaces: road, parking strips, pavements, side roads and the land beyond."""
    seed = dice.integer(0, 2**31)
    tar, marked = (material(Dice(seed), "asphalt", scale=scale) for scale in (_PLAIN, plan.lane))
    side = material(dice, "asphalt", scale=_PLAIN)
    stone, lawn, zebra = (material(dice, name) for name in ("pavement", "lawn", "zebra"))
    town, middle = plan.kind.houses == "town", plan.middle
    road, land = Thing("road", 10, GROUND_END, 0.0), Thing("road" if town else "grass", 10, 10, 0.0)

    def lay(thing: Thing, left: float, right: float, y: float, end: float, z: float, m: Material) -> None:
        foot, size = ((left + right) / 2, (y + end) / 2, -0.3), (right - left, end - y, 0.3 + z)
        thing.box(foot, size, m, casts=False)

    lay(land, -_WIDE, _WIDE, BEHIND, GROUND_END, -0.04, side if town else lawn)
    half = plan.lanes * plan.lane
    lay(road, middle - half, middle + half, BEHIND, GROUND_END, 0.0, marked if half > 3.25 else tar)
    for s in plan.sides:

        def beside(thing: Thing, near: float, far: float, *rest: float, m: Material, s: Side = s) -> None:
            left, right = sorted((middle + s.sign * near, middle + s.sign * far))
            lay(thing, left, right, rest[0], rest[1], rest[2], m)

        beside(road, s.lanes, s.kerb, BEHIND, GROUND_END, -0.004, m=side)
        for at, wide in plan.crossings:
            beside(road, s.kerb, s.kerb + 120.0, at - wide, at + wide, -0.002, m=tar)
        for first, last in plan.stretches():
            beside(road, s.kerb, s.front, first, last, KERB, m=stone)
            if not town:  # the paving ends: earth level with it
                beside(land, s.front, s.front + 40.0, first, last, KERB - 0.04, m=lawn)
            elif plan.kind.setback[1] > 0.3:
                beside(road, s.front, s.front + 40.0, first, last, KERB - 0.01, m=side)
    left, right = (middle + s.sign * (s.kerb - 0.5) for s in plan.sides)
    for at, wide in plan.crossings:
        if dice.chance(0.5):
            lay(road, left, right, at - wide - 3.6, at - wide - 0.4, 0.006, zebra)
    scene.put(land)
    scene.put(road)


def line(dice: Dice, scene: Scene, plan: Plan) -> None:
    """Build both sides, and far houses and trees that hide the edge of the land."""
    town = plan.kind.houses == "town"
    for side in plan.sides:
        storeys, border = dice.integer(2, 5), dice.pick(("hedge", "wall", "fence", ""))
        for first, last in plan.stretches():
            y, end = first, min(last, _FAR_ROW if town else SEEN + 40.0)
            while y < end - 4.0:
                plot = min(dice.uniform(*(8.0, 18.0) if town else (12.0, 19.0)), end - y)
                plot = end - y if end - y - plot < 5.0 else plot
                _plot(dice, scene, plan, side, y, plot, border, storeys)
                y += plot
    for k in range(14):
        x = (k - 6.5) * 26.0 + dice.uniform(-6, 6)
        if abs(x - plan.middle) > 9.0 or dice.chance(0.4):
            wide, far = dice.uniform(14.0, 28.0), dice.chance(0.5)
            block = house(dice, wide, 3) if far else build(dice, "bush", width=wide, height=9.0)
            scene.put(block, x, dice.uniform(250.0, 330.0), 0.0, np.pi)


def _plot(
    dice: Dice, scene: Scene, plan: Plan, side: Side, y: float, length: float, border: str, storeys: int
) -> None:
    """One plot beside the street: a house or a garden, its border and its plants."""

    def put(thing: Thing, out: float, at: float, yaw: float = side.sign * np.pi / 2) -> None:
        scene.put(thing, plan.middle + side.sign * (side.front + out), y + at, KERB - 0.05, yaw)

    houses, out = plan.kind.houses, dice.uniform(*plan.kind.setback)
    garden = houses != "town" or dice.chance(0.06)
    if not garden:
        home = house(dice, length, max(1, storeys + dice.integer(-1, 1)))
    elif houses == "villas" or dice.chance(0.08):
        home = build(dice, "villa", width=length - dice.uniform(3.5, 6.0))
        out += 0.0 if houses == "villas" else 16.0
    else:
        put(build(dice, "tree"), dice.uniform(4.8, 9.0), length / 2)
        home = None
    if home is not None:
        put(home, out + home.depth / 2, length / 2)
    if garden and border and y < SEEN:
        gate = dice.uniform(2.5, 4.0) if houses == "villas" else 0.2
        put(build(dice, border, depth=length - gate), 0.3, (length - gate) / 2, 0.0)
    for _ in range(dice.integer(0, 3) if garden else 0):
        plant = build(dice, dice.pick(("bush", "bush", "conifer")))
        put(plant, dice.uniform(1.6, 2.8) if home else dice.uniform(3.0, 12.0), dice.uniform(0.5, length))
