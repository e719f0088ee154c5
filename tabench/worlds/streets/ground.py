"""Road, parking strips, pavements, side roads and the land beyond."""

from __future__ import annotations

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import material
from tabench.worlds.scenes.palette import shade
from tabench.worlds.scenes.thing import Thing
from tabench.worlds.streets.palette import LAWNS, ROADS, STONES
from tabench.worlds.streets.plan import BEHIND, GROUND_END, KERB, Plan

_WIDE = 420.0  # metres to which the land reaches left and right
_PLAIN = 0.1  # an asphalt pattern of this scale has no markings


def ground(dice: Dice, plan: Plan) -> list[Thing]:
    """All level surfaces, in street coordinates."""
    road = shade(dice, ROADS, 0.03)
    tar = material(dice, "asphalt", road, scale=_PLAIN)
    marked = material(dice, "asphalt", road, scale=plan.lane)
    side = material(dice, "asphalt", shade(dice, ROADS, 0.03), scale=_PLAIN)
    stone = material(dice, "slabs", shade(dice, STONES, 0.04), scale=dice.uniform(0.3, 0.8))
    lawn = material(dice, "grass", shade(dice, LAWNS))
    length, y = GROUND_END - BEHIND, (GROUND_END + BEHIND) / 2
    town = plan.kind.houses == "town"
    land = Thing("flat" if town else "nature", _WIDE, length, 0.0)
    land.box((0, y, -0.3), (2 * _WIDE, length, 0.26), side if town else lawn, casts=False)
    flat = Thing("flat", 10, length, 0.0)
    left, right = plan.sides
    lanes = 2 * plan.lanes * plan.lane
    flat.box((plan.middle, y, -0.2), (lanes, length, 0.2), marked if lanes > 6.5 else tar, casts=False)
    for s in plan.sides:
        strip = s.kerb - s.lanes
        flat.box(
            (plan.middle + s.sign * (s.lanes + strip / 2), y, -0.2), (strip, length, 0.196), side, casts=False
        )
    for at, half in plan.crossings:
        for s in plan.sides:
            x = plan.middle + s.sign * (s.kerb + 60.0)
            flat.box((x, at, -0.2), (120.0, 2 * half, 0.198), tar, casts=False)
        if dice.chance(0.5):
            zebra = material(dice, "crossing", (0.85, 0.85, 0.83), road, scale=1.0)
            wide = left.kerb + right.kerb - 1.0
            x = plan.middle + (right.kerb - left.kerb) / 2
            flat.box((x, at - half - 2.0, 0.0), (wide, 3.2, 0.006), zebra, casts=False)
    for first, last in plan.stretches():
        for s in plan.sides:
            wide = s.front - s.kerb
            x = plan.middle + s.sign * (s.kerb + wide / 2)
            flat.box((x, (first + last) / 2, -0.2), (wide, last - first, 0.2 + KERB), stone, casts=False)
            if not town:  # the paving ends: earth level with it
                deep = Thing("nature", 40.0, last - first, 0.0)
                x = plan.middle + s.sign * (s.front + 20.0)
                deep.box((x, (first + last) / 2, -0.2), (40.0, last - first, 0.16 + KERB), lawn, casts=False)
                land.pieces.extend(deep.pieces)
            elif plan.kind.setback[1] > 0.3:
                x = plan.middle + s.sign * (s.front + 2.5)
                flat.box((x, (first + last) / 2, -0.2), (5.0, last - first, 0.19 + KERB), side, casts=False)
    return [land, flat]
