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


def pave(dice: Dice, scene: Scene, plan: Plan) -> None:
    """All level surfaces: road, parking strips, pavements, side roads and the land beyond."""
    seed = dice.integer(0, 2**31)
    tar, marked = (material(Dice(seed), "asphalt", scale=scale) for scale in (_PLAIN, plan.lane))
    side, stone, lawn = (
        material(dice, "asphalt", scale=_PLAIN),
        material(dice, "pavement"),
        material(dice, "lawn"),
    )
    length, y = GROUND_END - BEHIND, (GROUND_END + BEHIND) / 2
    town = plan.kind.houses == "town"
    land = Thing("road" if town else "grass", _WIDE, length, 0.0)
    land.box((0, y, -0.3), (2 * _WIDE, length, 0.26), side if town else lawn, casts=False)
    road, left, right = Thing("road", 10, length, 0.0), *plan.sides
    lanes = 2 * plan.lanes * plan.lane
    road.box((plan.middle, y, -0.2), (lanes, length, 0.2), marked if lanes > 6.5 else tar, casts=False)
    for s in plan.sides:
        strip = s.kerb - s.lanes
        at = plan.middle + s.sign * (s.lanes + strip / 2)
        road.box((at, y, -0.2), (strip, length, 0.196), side, casts=False)
    for at, half in plan.crossings:
        for s in plan.sides:
            x = plan.middle + s.sign * (s.kerb + 60.0)
            road.box((x, at, -0.2), (120.0, 2 * half, 0.198), tar, casts=False)
        if dice.chance(0.5):
            wide, x = left.kerb + right.kerb - 1.0, plan.middle + (right.kerb - left.kerb) / 2
            zebra = material(dice, "zebra")
            road.box((x, at - half - 2.0, 0.0), (wide, 3.2, 0.006), zebra, casts=False)
    for first, last in plan.stretches():
        middle, long = (first + last) / 2, last - first
        for s in plan.sides:
            wide = s.front - s.kerb
            x = plan.middle + s.sign * (s.kerb + wide / 2)
            road.box((x, middle, -0.2), (wide, long, 0.2 + KERB), stone, casts=False)
            x = plan.middle + s.sign * (s.front + 20.0)
            if not town:  # the paving ends: earth level with it
                land.box((x, middle, -0.2), (40.0, long, 0.16 + KERB), lawn, casts=False)
            elif plan.kind.setback[1] > 0.3:
                road.box((x, middle, -0.2), (40.0, long, 0.19 + KERB), side, casts=False)
    scene.put(land)
    scene.put(road)


def line(dice: Dice, scene: Scene, plan: Plan) -> None:
    """Build both sides and close the view."""
    make = {"town": _town, "villas": _villas, "none": _green}[plan.kind.houses]
    for side in plan.sides:
        for first, last in plan.stretches():
            make(dice, scene, plan, side, first, min(last, _FAR_ROW if make is _town else SEEN + 40.0))
    if plan.end is not None:
        x = plan.middle + dice.uniform(-8, 8)
        for k in (-1, 0, 1):
            block = house(dice, 24.0, dice.integer(3, 5))
            scene.put(block, x + 24.0 * k, plan.end + 10.0, 0.0, np.pi)
        return
    for k in range(14):  # far houses and trees hide the edge of the land
        x = (k - 6.5) * 26.0 + dice.uniform(-6, 6)
        if abs(x - plan.middle) > 9.0 or dice.chance(0.4):
            far = dice.chance(0.5)
            wide = dice.uniform(14.0, 28.0)
            thing = (
                house(dice, wide, dice.integer(2, 5)) if far else build(dice, "bush", width=wide, height=9.0)
            )
            scene.put(thing, x, dice.uniform(250.0, 330.0), 0.0, np.pi)


def house(dice: Dice, width: float, storeys: int) -> Thing:
    """A block of flats or offices, with a shop below some; its front is at +y."""
    height = storeys * STOREY + dice.uniform(0.4, 1.0)
    thing = build(dice, "townhouse", width=width, depth=dice.uniform(9.0, 13.0), height=height)
    if dice.chance(0.45):
        thing.include(build(dice, "shop", width=width), 0.0, thing.depth / 2 - 0.4, 0.0, 0.0, "")
    return thing


def _place(scene: Scene, plan: Plan, side: Side, thing: Thing, out: float, y: float) -> None:
    """Put a thing beside the street, so many metres out from the pavement, its front to the road."""
    x = plan.middle + side.sign * (side.front + out)
    scene.put(thing, x, y, KERB - 0.05, side.sign * np.pi / 2)


def _border(dice: Dice, scene: Scene, plan: Plan, side: Side, kind: str, y: float, length: float) -> None:
    thing = build(dice, kind, depth=length)
    scene.put(thing, plan.middle + side.sign * (side.front + 0.3), y, KERB - 0.05)


def _town(dice: Dice, scene: Scene, plan: Plan, side: Side, first: float, last: float) -> None:
    y, storeys = first, dice.integer(2, 5)
    while y < last - 4.0:
        width = min(dice.uniform(7.0, 18.0), last - y)
        if last - y - width < 5.0:
            width = last - y
        if dice.chance(0.06):
            _border(dice, scene, plan, side, dice.pick(("wall", "fence")), y + width / 2, width - 0.2)
            _place(scene, plan, side, build(dice, "tree"), 4.8, y + width / 2)
        else:
            home = house(dice, width, max(1, storeys + dice.integer(-1, 1)))
            _place(scene, plan, side, home, dice.uniform(*plan.kind.setback) + home.depth / 2, y + width / 2)
        y += width


def _villas(dice: Dice, scene: Scene, plan: Plan, side: Side, first: float, last: float) -> None:
    y = first
    while y < last - 8.0:
        plot = min(dice.uniform(13.0, 20.0), last - y)
        villa = build(dice, "villa", width=plot - dice.uniform(3.5, 6.0))
        out = dice.uniform(*plan.kind.setback) + villa.depth / 2
        _place(scene, plan, side, villa, out, y + plot / 2)
        border, gate = dice.pick(("hedge", "hedge", "wall", "fence", "")), dice.uniform(2.5, 4.0)
        if border and y < SEEN:
            _border(dice, scene, plan, side, border, y + (plot - gate) / 2, plot - gate)
        for _ in range(dice.integer(0, 2)):
            plant = build(dice, dice.pick(("bush", "bush", "conifer")))
            _place(scene, plan, side, plant, dice.uniform(1.6, 2.6), y + dice.uniform(0.5, plot - 0.5))
        if dice.chance(0.5):
            _place(scene, plan, side, build(dice, "tree"), out + villa.depth / 2 + 3.0, y + plot)
        y += plot


def _green(dice: Dice, scene: Scene, plan: Plan, side: Side, first: float, last: float) -> None:
    y, border = first, dice.pick(("hedge", "wall", "fence", "", ""))
    while y < last - 3.0:
        length = min(dice.uniform(5.0, 11.0), last - y)
        if border:
            _border(dice, scene, plan, side, border, y + length / 2, length)
        for _ in range(dice.integer(1, 3)):
            plant = build(dice, dice.pick(("bush", "bush", "tree", "conifer")))
            _place(scene, plan, side, plant, dice.uniform(3.0, 12.0), y + dice.uniform(0, length))
        if dice.chance(0.08):
            _place(scene, plan, side, build(dice, "villa"), dice.uniform(18.0, 26.0), y + length / 2)
        y += length
