"""Cabinets, wardrobes, shelves, chests, counters: the class "furniture"."""

from __future__ import annotations

from tabench.worlds.scenes.clutter import book_row, knick_knack
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import PAINTS, shade
from tabench.worlds.scenes.seating import timber
from tabench.worlds.scenes.thing import Thing, Top


def _fronts(thing: Thing, columns: int, rows: int, foot: float, wood: Material, knob: Material) -> None:
    """Doors or drawers over the whole front."""
    width, height, front = thing.width / columns, (thing.height - foot - 0.03) / rows, thing.depth / 2
    for i in range(columns):
        x = -thing.width / 2 + (i + 0.5) * width
        for j in range(rows):
            z = foot + j * height
            thing.box((x, front - 0.004, z + 0.01), (width - 0.02, 0.03, height - 0.02), wood)
            if rows > columns:
                thing.box((x, front + 0.015, z + height / 2), (0.16, 0.02, 0.02), knob)
            else:
                side = -1 if i % 2 else 1
                thing.box(
                    (x + side * (width / 2 - 0.06), front + 0.015, z + height * 0.45),
                    (0.02, 0.02, 0.12),
                    knob,
                )


def cabinet(dice: Dice, width: float, depth: float, height: float, columns: int, rows: int) -> Thing:
    """A closed body with doors or drawers: wardrobe, sideboard, chest, night stand."""
    wood = timber(dice)
    knob = material(dice, "plain", dice.pick(((0.75, 0.72, 0.65), (0.2, 0.2, 0.2))), gloss=0.6)
    thing = Thing("furniture", width, depth, height)
    thing.box((0, -0.01, 0.0), (width - 0.03, depth - 0.03, height - 0.03), wood)
    thing.box((0, 0, height - 0.03), (width, depth, 0.03), wood)
    _fronts(thing, columns, rows, 0.07, wood, knob)
    thing.tops.append(Top(0, 0, height, width * 0.9, depth * 0.75, clear=0.5))
    return thing


def bookshelf(dice: Dice) -> Thing:
    """Open shelves, mostly full of books."""
    width, depth, height = dice.uniform(0.7, 1.3), dice.uniform(0.28, 0.36), dice.uniform(1.3, 2.1)
    wood = timber(dice)
    thing = Thing("furniture", width, depth, height)
    for side in (-1, 1):
        thing.box((side * (width / 2 - 0.015), 0, 0), (0.03, depth, height), wood)
    thing.box((0, -depth / 2 + 0.01, 0), (width - 0.06, 0.02, height), wood)
    pitch = dice.uniform(0.32, 0.4)
    levels = int((height - 0.06) / pitch)
    pitch = (height - 0.09) / levels
    for k in range(levels + 1):
        thing.box(
            (0, 0, 0.06 + k * pitch - (0 if k else 0.06)), (width - 0.06, depth, 0.03 if k else 0.09), wood
        )
    for k in range(levels):
        base = 0.09 + k * pitch
        inner = width - 0.08
        fill = dice.uniform(0.45, 1.0)
        if dice.chance(0.85):
            books = book_row(dice, inner * fill, min(depth - 0.08, 0.22), pitch - 0.06)
            thing.include(books, -inner * (1 - fill) / 2, 0.02, base, 0.0, f"books{k}")
            if inner * (1 - fill) > 0.25:
                item = knick_knack(dice, pitch - 0.08)
                thing.include(item, inner / 2 - 0.12, 0.0, base, dice.uniform(0, 3), f"item{k}")
        else:
            for j in range(2):
                item = knick_knack(dice, pitch - 0.08)
                x = (j - 0.5) * inner * 0.55
                thing.include(item, x, 0.0, base, dice.uniform(0, 3), f"item{k}{j}")
    thing.tops.append(Top(0, 0, height, width * 0.8, depth * 0.6, clear=0.3))
    return thing


def kitchen_run(dice: Dice, width: float) -> Thing:
    """Base cabinets with a worktop and cupboards above."""
    paint = material(dice, "plain", shade(dice, PAINTS), gloss=0.2) if dice.chance(0.6) else timber(dice)
    stone = material(dice, "carpet", (0.35, 0.34, 0.33), (0.55, 0.54, 0.52), gloss=0.4)
    knob = material(dice, "plain", (0.7, 0.7, 0.7), gloss=0.6)
    thing = Thing("furniture", width, 0.6, 0.9)
    columns = max(2, round(width / 0.5))
    thing.box((0, -0.02, 0), (width - 0.02, 0.54, 0.86), paint)
    _fronts(thing, columns, 1, 0.1, paint, knob)
    thing.box((0, 0, 0.87), (width, 0.62, 0.04), stone)
    upper = Thing("furniture", width, 0.34, 0.65)
    upper.box((0, -0.01, 0), (width - 0.02, 0.32, 0.65), paint)
    _fronts(upper, columns, 1, 0.0, paint, knob)
    thing.include(upper, 0, -0.13, 1.45, 0.0, "upper")
    thing.tops.append(Top(0, 0.05, 0.91, width * 0.9, 0.35, clear=0.4))
    thing.height = 2.1
    return thing


def fridge(dice: Dice) -> Thing:
    """A refrigerator."""
    shell = material(
        dice, "plain", dice.pick(((0.9, 0.9, 0.9), (0.6, 0.61, 0.63), (0.2, 0.2, 0.22))), gloss=0.4
    )
    grip = material(dice, "plain", (0.5, 0.5, 0.5), gloss=0.6)
    height = dice.uniform(1.5, 1.85)
    thing = Thing("furniture", 0.65, 0.65, height)
    thing.box((0, -0.03, 0), (0.65, 0.59, height), shell)
    thing.box((0, 0.29, 0.04), (0.64, 0.06, height * 0.6), shell)
    thing.box((0, 0.29, height * 0.6 + 0.06), (0.64, 0.06, height * 0.4 - 0.07), shell)
    thing.box((-0.27, 0.335, height * 0.35), (0.025, 0.03, 0.3), grip)
    thing.box((-0.27, 0.335, height * 0.65), (0.025, 0.03, 0.25), grip)
    return thing
