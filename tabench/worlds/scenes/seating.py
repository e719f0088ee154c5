"""Things to sit, lie and eat on: beds, sofas, chairs, tables."""

from __future__ import annotations

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import ACCENTS, FABRICS, LINENS, PAINTS, WOODS, shade
from tabench.worlds.scenes.thing import Thing, Top


def timber(dice: Dice) -> Material:
    """Wood, or sometimes paint."""
    if dice.chance(0.2):
        return material(dice, "plain", shade(dice, PAINTS), gloss=0.2)
    return material(dice, "wood", shade(dice, WOODS), gloss=0.25)


def cloth(dice: Dice, colours: tuple[tuple[float, float, float], ...] = FABRICS) -> Material:
    """Plain or patterned cloth."""
    pattern = dice.pick(("fabric", "fabric", "fabric", "stripes", "plaid", "dots"))
    return material(dice, pattern, shade(dice, colours), shade(dice, colours), scale=dice.uniform(0.08, 0.2))


def _legs(thing: Thing, width: float, depth: float, height: float, thick: float, wood: Material) -> None:
    for x in (-width / 2 + thick, width / 2 - thick):
        for y in (-depth / 2 + thick, depth / 2 - thick):
            thing.box((x, y, 0.0), (thick, thick, height), wood)


def bed(dice: Dice) -> Thing:
    """A bed with its head against the wall."""
    width, depth = dice.pick((0.95, 1.4, 1.6, 1.8)), dice.uniform(1.95, 2.1)
    level, wood, sheet, cover = (
        dice.uniform(0.28, 0.36),
        timber(dice),
        cloth(dice, LINENS),
        cloth(dice, LINENS),
    )
    thing = Thing("bed", width, depth, 1.1)
    thing.box((0, 0.02, 0.06), (width - 0.04, depth - 0.08, level - 0.06), wood)
    thing.box((0, -depth / 2 + 0.03, 0), (width, 0.06, dice.uniform(0.7, 1.1)), wood)
    if dice.chance(0.5):
        thing.box((0, depth / 2 - 0.025, 0), (width, 0.05, level + 0.2), wood)
    thing.box((0, 0, level), (width - 0.08, depth - 0.14, 0.2), material(dice, "fabric", (0.92, 0.91, 0.88)))
    top = level + 0.2
    reach = dice.uniform(0.6, 0.75) * depth
    thing.box((0, depth / 2 - reach / 2 - 0.04, top - 0.17), (width, reach, 0.21), cover)
    if dice.chance(0.5):
        thing.box((0, depth / 2 - reach, top - 0.15), (width + 0.01, 0.3, 0.205), sheet)
    pillows = 1 if width < 1.2 else 2
    for k in range(pillows):
        x = (k - (pillows - 1) / 2) * width / 2
        at = (x, -depth / 2 + 0.34, top - 0.03)
        thing.ball(at, (0.62, 0.42, 0.2), sheet, label="objects", group=f"pillow{k}")
    if dice.chance(0.35):
        thing.tops.append(Top(0, depth * 0.2, top + 0.04, width * 0.6, depth * 0.3))
    return thing


def sofa(dice: Dice, seats: int) -> Thing:
    """A sofa, or with one seat an armchair."""
    arm, seat = dice.uniform(0.12, 0.22), dice.uniform(0.58, 0.7)
    width, depth = seats * seat + 2 * arm, dice.uniform(0.82, 0.95)
    body = cloth(dice) if dice.chance(0.35) else material(dice, "fabric", shade(dice, FABRICS))
    high, back = dice.uniform(0.38, 0.45), dice.uniform(0.75, 0.92)
    thing = Thing("sofa", width, depth, back)
    thing.box((0, 0, 0.06), (width - 0.04, depth - 0.02, high - 0.2), body)
    thing.box((0, -depth / 2 + 0.11, 0.06), (width - 0.014, 0.22, back - 0.06), body)
    for side in (-1, 1):
        x = side * (width / 2 - arm / 2)
        thing.box((x, 0.006, 0.04), (arm, depth - 0.014, dice.uniform(0.5, 0.52) + 0.05), body)
    for k in range(seats):
        x = (k - (seats - 1) / 2) * seat
        thing.box((x, 0.1, high - 0.14), (seat - 0.015, depth - 0.24, 0.15), body)
        back_at = (x, -depth / 2 + 0.28, high + 0.01)
        thing.box(back_at, (seat - 0.03, 0.14, back - high - 0.06), body)
    for k in range(dice.integer(0, 2)):
        x = (-1) ** k * (width / 2 - arm - 0.22) * (0.2 if seats == 1 else 1)
        tint = cloth(dice, ACCENTS)
        at = (x, -depth / 2 + 0.42, high)
        thing.ball(at, (0.44, 0.18, 0.34), tint, label="objects", group=f"cushion{k}")
    return thing


def chair(dice: Dice) -> Thing:
    """A chair with four legs and a back."""
    width, depth, high = dice.uniform(0.42, 0.5), dice.uniform(0.44, 0.52), dice.uniform(0.43, 0.48)
    back, wood = dice.uniform(0.82, 1.02), timber(dice)
    seat = cloth(dice) if dice.chance(0.5) else wood
    thing = Thing("chair", width, depth, back)
    _legs(thing, width, depth, high, 0.045, wood)
    thing.box((0, 0, high), (width, depth, 0.05), seat)
    rear = -depth / 2 + 0.025
    if dice.chance(0.5):
        thing.box((0, rear, high + 0.12), (width - 0.095, 0.045, back - high - 0.12), seat)
    else:
        for z in (back - 0.1, (back + high) / 2 - 0.02):
            thing.box((0, rear, z), (width, 0.03, 0.1), wood)
    for x in (-width / 2 + 0.025, width / 2 - 0.025):
        thing.box((x, rear, high), (0.045, 0.045, back - high), wood)
    return thing


def office_chair(dice: Dice) -> Thing:
    """A swivel chair."""
    tint, metal = (
        material(dice, "fabric", shade(dice, FABRICS)),
        material(dice, "plain", (0.2, 0.2, 0.22), gloss=0.4),
    )
    thing = Thing("chair", 0.58, 0.58, 1.0)
    thing.cylinder((0, 0, 0.03), (0.56, 0.56, 0.05), metal)
    thing.cylinder((0, 0, 0.05), (0.07, 0.07, 0.38), metal)
    thing.box((0, 0.02, 0.43), (0.5, 0.48, 0.09), tint)
    thing.box((0, -0.23, 0.58), (0.46, 0.08, dice.uniform(0.38, 0.55)), tint)
    thing.box((0, -0.25, 0.45), (0.08, 0.04, 0.3), metal)
    if dice.chance(0.6):
        for side in (-1, 1):
            thing.box((side * 0.27, 0.0, 0.64), (0.05, 0.3, 0.04), metal)
            thing.box((side * 0.27, -0.05, 0.46), (0.03, 0.05, 0.18), metal)
    return thing


def table(dice: Dice, width: float, depth: float, height: float) -> Thing:
    """A table on four legs, or round on one."""
    wood = timber(dice)
    thing = Thing("table", width, depth, height)
    if abs(width - depth) < 0.05 and dice.chance(0.5):
        thing.cylinder((0, 0, height - 0.04), (width, depth, 0.04), wood)
        thing.cylinder((0, 0, 0.03), (0.1, 0.1, height - 0.06), wood)
        thing.cylinder((0, 0, 0.0), (0.5 * width, 0.5 * width, 0.03), wood)
        thing.tops.append(Top(0, 0, height, width * 0.6, depth * 0.6))
        return thing
    thing.box((0, 0, height - 0.04), (width, depth, 0.04), wood)
    if height > 0.6:
        thing.box((0, 0, height - 0.12), (width - 0.12, depth - 0.12, 0.08), wood)
    elif dice.chance(0.5):
        thing.box((0, 0, 0.12), (width - 0.1, depth - 0.1, 0.025), wood)
    _legs(thing, width - 0.02, depth - 0.02, height - 0.04, 0.06, wood)
    thing.tops.append(Top(0, 0, height, width * 0.9, depth * 0.85))
    return thing


def desk(dice: Dice) -> Thing:
    """A writing desk with a drawer block on one side."""
    width, depth, height, wood = dice.uniform(1.1, 1.6), dice.uniform(0.6, 0.75), 0.74, timber(dice)
    thing = Thing("table", width, depth, height)
    thing.box((0, 0, height - 0.035), (width, depth, 0.035), wood)
    side = dice.pick((-1, 1))
    x = side * (width / 2 - 0.22)
    thing.box((x, 0, 0.0), (0.42, depth - 0.06, height - 0.035), wood)
    for k in range(3):
        thing.box((x, depth / 2 - 0.025, 0.06 + k * 0.22), (0.38, 0.02, 0.2), wood)
    thing.box((-side * (width / 2 - 0.03), 0, 0), (0.04, depth - 0.04, height - 0.035), wood)
    thing.tops.append(Top(0, 0, height, width * 0.92, depth * 0.8))
    return thing
