"""Small things: books, lamps, plants, boxes, vases."""

from __future__ import annotations

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import ACCENTS, CARPETS, LINENS, WOODS, shade
from tabench.worlds.scenes.thing import Thing


def book_row(dice: Dice, width: float, depth: float, height: float) -> Thing:
    """Books side by side, in runs of equal height."""
    thing, x = Thing("books", width, depth, height), -width / 2
    while x < width / 2 - 0.04:
        wide = min(dice.uniform(0.12, 0.35), width / 2 - x)
        tall = dice.uniform(0.68, 0.98) * height
        deep = dice.uniform(0.8, 1.0) * depth
        spines = material(dice, "spines", (0.5, 0.3, 0.2), scale=dice.uniform(0.025, 0.05))
        thing.box((x + wide / 2, 0, 0), (wide - 0.004, deep, tall), spines)
        x += wide
    return thing


def book_pile(dice: Dice) -> Thing:
    """A few books lying on each other."""
    thing, z = Thing("books", 0.26, 0.26, 0.2), 0.0
    for _ in range(dice.integer(2, 5)):
        thick = dice.uniform(0.02, 0.05)
        size = (dice.uniform(0.17, 0.25), dice.uniform(0.2, 0.26), thick)
        cover = material(dice, "plain", shade(dice, ACCENTS), gloss=0.15)
        thing.box((dice.uniform(-0.02, 0.02), dice.uniform(-0.02, 0.02), z), size, cover)
        z += thick
    thing.height = z
    return thing


def table_lamp(dice: Dice) -> Thing:
    """A lamp with a glowing shade."""
    thing = Thing("objects", 0.3, 0.3, 0.5)
    foot = material(dice, "plain", shade(dice, ACCENTS + WOODS), gloss=0.5)
    thing.cylinder((0, 0, 0), (0.14, 0.14, 0.02), foot)
    thing.ball((0, 0, 0.01), (0.13, 0.13, 0.22), foot)
    glow = dice.pick((0.0, 0.0, 0.9))
    thing.cylinder((0, 0, 0.24), (0.28, 0.28, 0.22), material(dice, "fabric", (0.95, 0.9, 0.75), glow=glow))
    return thing


def floor_lamp(dice: Dice) -> Thing:
    """A standing lamp."""
    thing, height = Thing("objects", 0.4, 0.4, 1.6), dice.uniform(1.3, 1.6)
    metal = material(dice, "plain", (0.25, 0.24, 0.23), gloss=0.6)
    thing.cylinder((0, 0, 0), (0.3, 0.3, 0.03), metal)
    thing.cylinder((0, 0, 0.03), (0.03, 0.03, height), metal)
    shade_cloth = material(dice, "fabric", (0.95, 0.9, 0.78), glow=dice.pick((0.0, 0.9)))
    thing.cylinder((0, 0, height - 0.1), (0.4, 0.4, 0.28), shade_cloth)
    return thing


def plant(dice: Dice, size: float) -> Thing:
    """A pot with leaves."""
    thing = Thing("objects", 0.45 * size, 0.45 * size, 0.9 * size)
    pot = material(
        dice, "plain", dice.pick(((0.6, 0.33, 0.22), (0.9, 0.9, 0.88), (0.25, 0.3, 0.35))), gloss=0.2
    )
    green = material(dice, "carpet", (0.2, 0.38, 0.15), (0.09, 0.2, 0.07))
    thing.cylinder((0, 0, 0), (0.28 * size, 0.28 * size, 0.28 * size), pot)
    for _ in range(5):
        x, y, z = dice.uniform(-0.1, 0.1), dice.uniform(-0.1, 0.1), dice.uniform(0.22, 0.55)
        wide = dice.uniform(0.16, 0.26) * size
        thing.ball((x * size, y * size, z * size), (wide, wide, dice.uniform(0.25, 0.4) * size), green)
    return thing


def knick_knack(dice: Dice, room: float) -> Thing:
    """A vase, a box, a ball, a bottle or a cup, no taller than the room above it."""
    thing = Thing("objects", 0.16, 0.16, 0.2)
    tint = material(
        dice, dice.pick(("plain", "plain", "dots", "stripes")), shade(dice, ACCENTS), gloss=0.3, scale=0.05
    )
    kind = dice.integer(0, 4)
    if kind == 0:
        tall = min(dice.uniform(0.15, 0.3), room)
        thing.ball((0, 0, 0), (0.14, 0.14, tall * 0.75), tint)
        thing.cylinder((0, 0, tall * 0.5), (0.06, 0.06, tall * 0.5), tint)
    elif kind == 1:
        size = (dice.uniform(0.1, 0.22), dice.uniform(0.1, 0.18), min(dice.uniform(0.08, 0.2), room))
        thing.box((0, 0, 0), size, tint)
    elif kind == 2:
        wide = min(dice.uniform(0.1, 0.18), room)
        thing.ball((0, 0, 0), (wide, wide, wide), tint)
    elif kind == 3:
        tall = min(dice.uniform(0.2, 0.3), room)
        thing.cylinder((0, 0, 0), (0.08, 0.08, tall * 0.7), tint)
        thing.cylinder((0, 0, tall * 0.7), (0.03, 0.03, tall * 0.3), tint)
    else:
        thing.cylinder((0, 0, 0), (0.09, 0.09, min(0.1, room)), tint)
    return thing


def basket(dice: Dice) -> Thing:
    """A box, bag or basket on the floor."""
    size = (dice.uniform(0.25, 0.45), dice.uniform(0.25, 0.4), dice.uniform(0.2, 0.45))
    thing = Thing("objects", size[0], size[1], size[2])
    skin = material(
        dice, dice.pick(("fabric", "plain", "plaid")), shade(dice, WOODS + ACCENTS + CARPETS), scale=0.1
    )
    if dice.chance(0.5):
        thing.box((0, 0, 0), size, skin)
    else:
        thing.cylinder((0, 0, 0), size, skin)
        thing.ball(
            (0, 0, size[2] - 0.12),
            (size[0] * 0.9, size[1] * 0.9, 0.2),
            material(dice, "fabric", shade(dice, LINENS)),
        )
    return thing


def _picture_tube(dice: Dice) -> Material:
    if dice.chance(0.3):
        return material(dice, "painting", shade(dice, ACCENTS), shade(dice, ACCENTS), gloss=0.3, glow=0.5)
    return material(dice, "screen", (0.13, 0.14, 0.16), gloss=0.7)


def monitor(dice: Dice) -> Thing:
    """A screen on a foot."""
    thing = Thing("tv", 0.55, 0.2, 0.45)
    black = material(dice, "plain", (0.08, 0.08, 0.09), gloss=0.3)
    thing.box((0, 0, 0), (0.22, 0.16, 0.015), black)
    thing.box((0, 0, 0.01), (0.05, 0.03, 0.12), black)
    thing.box((0, 0.015, 0.09), (0.55, 0.03, 0.35), black)
    thing.box((0, 0.03, 0.105), (0.52, 0.008, 0.32), _picture_tube(dice))
    return thing


def television(dice: Dice, width: float, stand: bool) -> Thing:
    """A flat television, on a foot or to be hung on a wall."""
    height = width * 0.58
    thing = Thing("tv", width, 0.24 if stand else 0.07, height + (0.08 if stand else 0))
    black = material(dice, "plain", (0.07, 0.07, 0.08), gloss=0.4)
    lift = 0.08 if stand else 0.0
    if stand:
        thing.box((0, 0, 0), (width * 0.4, 0.24, 0.02), black)
        thing.box((0, 0, 0.02), (width * 0.12, 0.05, 0.1), black)
    thing.box((0, 0, lift), (width, 0.06, height), black)
    thing.box((0, 0.028, lift + 0.03), (width - 0.05, 0.01, height - 0.055), _picture_tube(dice))
    return thing
