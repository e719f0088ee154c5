"""Floor, ceiling and walls."""

from __future__ import annotations

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import CARPETS, WALLS, WOODS, darker, shade
from tabench.worlds.scenes.thing import Thing

_THICK = 0.2
_SKIRTING = 0.016


def floor_material(dice: Dice) -> Material:
    """Boards, carpet or tiles."""
    kind = dice.pick(("planks", "planks", "carpet", "carpet", "tiles"))
    if kind == "planks":
        return material(dice, kind, shade(dice, WOODS), scale=dice.uniform(0.08, 0.18), gloss=0.3)
    if kind == "carpet":
        return material(dice, kind, shade(dice, CARPETS))
    light = shade(dice, CARPETS)
    dark = darker(light, 0.8) if dice.chance(0.6) else (0.25, 0.24, 0.23)
    return material(dice, kind, light, dark, scale=dice.uniform(0.3, 0.5), gloss=0.35)


def shell(dice: Dice, width: float, depth: float, height: float) -> list[Thing]:
    """Six slabs around the room, in room coordinates, with skirting boards.

    They throw no shadows: nothing outside them gives light.
    """
    t = _THICK
    paint = shade(dice, WALLS)
    pattern = dice.pick(("plain", "plain", "plain", "plain", "stripes"))
    pale = darker(paint, 0.93)
    common = material(dice, pattern, paint, pale, scale=dice.uniform(0.12, 0.3))
    accent = material(dice, "plain", shade(dice, WALLS)) if dice.chance(0.35) else common
    trim = (
        material(dice, "plain", (0.9, 0.89, 0.86))
        if dice.chance(0.7)
        else material(dice, "wood", shade(dice, WOODS))
    )
    floor = Thing("floor", width, depth, 0)
    floor.box(
        (width / 2, depth / 2, -t), (width + 2 * t, depth + 2 * t, t), floor_material(dice), casts=False
    )
    white = dice.uniform(0.88, 0.96)
    ceiling = Thing("ceiling", width, depth, height)
    over = material(dice, "plain", (white, white, white * 0.98))
    ceiling.box((width / 2, depth / 2, height), (width + 2 * t, depth + 2 * t, t), over, casts=False)
    out = [floor, ceiling]
    chosen = dice.integer(0, 3)
    for k in range(4):
        wall = Thing("wall", width, depth, height)
        skin = accent if k == chosen else common
        inset = _SKIRTING / 2
        if k % 2 == 0:
            y, foot = (-t / 2, inset) if k == 0 else (depth + t / 2, depth - inset)
            wall.box((width / 2, y, -t), (width + 2 * t, t, height + 2 * t), skin, casts=False)
            wall.box((width / 2, foot, 0), (width, _SKIRTING, 0.09), trim, casts=False)
        else:
            x, foot = (-t / 2, inset) if k == 3 else (width + t / 2, width - inset)
            wall.box((x, depth / 2, -t), (t, depth + 2 * t, height + 2 * t), skin, casts=False)
            wall.box((foot, depth / 2, 0), (_SKIRTING, depth, 0.09), trim, casts=False)
        out.append(wall)
    return out
