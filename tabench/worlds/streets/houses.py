"""Town houses, villas, walls and fences."""

from __future__ import annotations

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import material
from tabench.worlds.scenes.palette import WOODS, darker, shade
from tabench.worlds.scenes.thing import Thing
from tabench.worlds.streets.palette import METALS, STONES, TRIMS, WALLS
from tabench.worlds.streets.patterns import STOREY
from tabench.worlds.streets.solids import leaning_box


def town_house(dice: Dice, width: float, deep: float, storeys: int) -> Thing:
    """A block of flats or offices, with shops below some; its front is at +y."""
    height = storeys * STOREY + dice.uniform(0.2, 0.8)
    thing = Thing("construction", width, deep, height)
    tint, trim = shade(dice, WALLS), shade(dice, TRIMS)
    skin = material(dice, "facade", tint, trim, scale=dice.uniform(1.7, 3.2), gloss=0.05)
    thing.box((0, 0, 0), (width - 0.02, deep, height), skin)
    stone = material(dice, "plain", darker(trim, 0.9))
    thing.box((0, 0, height), (width + 0.02, deep + 0.5, 0.35), stone)
    if dice.chance(0.45):
        shop = material(dice, "shopfront", tint, trim, scale=dice.uniform(2.5, 5.0), gloss=0.2)
        thing.box((0, deep / 2 - 0.4, 0), (width - 0.04, 1.0, dice.uniform(3.2, 3.8)), shop)
        if dice.chance(0.5):
            cloth = material(dice, "stripes", shade(dice, WALLS), shade(dice, TRIMS), scale=0.5)
            leaning_box(thing, (0, deep / 2 + 0.75, 2.75), (0.7 * width, 1.5, 0.06), -0.35, cloth)
    else:
        for k in range(1, storeys):
            if dice.chance(0.3):
                at = (dice.uniform(-0.25, 0.25) * width, deep / 2 + 0.5, k * STOREY - 0.1)
                thing.box(at, (dice.uniform(1.8, 3.0), 1.0, 1.05), stone)
        thing.box((0, deep / 2 + 0.06, STOREY - 0.15), (width, 0.14, 0.22), stone)
    return thing


def villa(dice: Dice, width: float, deep: float) -> Thing:
    """A house of one or two storeys with a pitched roof; its front is at +y."""
    storeys = dice.pick((1, 2, 2))
    height = storeys * STOREY
    thing = Thing("construction", width, deep, height + 2.5)
    skin = material(dice, "facade", shade(dice, WALLS), shade(dice, TRIMS), scale=dice.uniform(2.4, 3.4))
    thing.box((0, 0, 0), (width, deep, height), skin)
    tiles = material(dice, "bricks", shade(dice, ((0.48, 0.24, 0.17), (0.3, 0.28, 0.28), (0.4, 0.3, 0.26))))
    slope = 0.62
    reach = deep / 2 + 0.4
    for side in (-1, 1):
        centre = (0.0, side * reach / 2, height + 0.62 * reach / 2 - 0.1)
        leaning_box(thing, centre, (width + 0.5, reach / 0.85, 0.25), -side * 0.55, tiles)
    thing.box((0, 0, height - 0.05), (width - 0.2, deep * 0.5, slope * reach * 0.5), skin)
    return thing


def wall(dice: Dice, length: float, height: float) -> Thing:
    """A garden wall along y with a coping."""
    thing = Thing("construction", 0.3, length, height)
    pattern = dice.pick(("bricks", "plain", "bricks"))
    skin = material(dice, pattern, shade(dice, WALLS + STONES))
    thing.box((0, 0, 0), (0.28, length, height), skin)
    thing.box((0, 0, height), (0.38, length, 0.08), material(dice, "plain", shade(dice, STONES)))
    return thing


def fence(dice: Dice, length: float, height: float) -> Thing:
    """Posts and boards, or rails, along y."""
    thing = Thing("construction", 0.12, length, height)
    boards = dice.chance(0.5)
    tint = shade(dice, WOODS) if boards else shade(dice, METALS)
    skin = material(dice, "wood" if boards else "plain", tint)
    count = max(2, int(length / (0.32 if boards else 1.6)))
    for k in range(count):
        y = -length / 2 + (k + 0.5) * length / count
        thing.box((0, y, 0), (0.05, 0.2 if boards else 0.08, height), skin)
    for z in (0.3 * height, 0.85 * height):
        thing.box((0.03, 0, z), (0.05, length, 0.09), skin)
    return thing


def far_block(dice: Dice, width: float, storeys: int) -> Thing:
    """A building that closes the view at the end of a street; its front is at -y."""
    height = storeys * STOREY
    thing = Thing("construction", width, 12.0, height)
    skin = material(dice, "facade", shade(dice, WALLS), shade(dice, TRIMS), scale=dice.uniform(2.0, 3.2))
    thing.box((0, 0, 0), (width, 12.0, height), skin)
    return thing
