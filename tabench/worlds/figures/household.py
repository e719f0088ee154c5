"""Bottles, plants and screens, and seats with people on them."""

from __future__ import annotations

import numpy as np

from tabench.worlds.figures.people import person, sample_body
from tabench.worlds.figures.poses import sit
from tabench.worlds.figures.solids import bone, ellipsoid
from tabench.worlds.scenes import clutter, seating
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import material
from tabench.worlds.scenes.palette import ACCENTS, Colour, shade
from tabench.worlds.scenes.thing import Piece, Thing, Top

_GLASSES: tuple[Colour, ...] = (
    (0.10, 0.28, 0.14),
    (0.30, 0.16, 0.07),
    (0.55, 0.70, 0.75),
    (0.75, 0.15, 0.12),
)


def bottle(dice: Dice, scale: float = 1.0) -> Thing:
    """A bottle with a label and a cap."""
    height, r = dice.uniform(0.24, 0.34) * scale, dice.uniform(0.034, 0.046) * scale
    thing = Thing("bottle", 2 * r, 2 * r, height)
    glass = material(dice, "plain", shade(dice, _GLASSES), gloss=0.9)
    paper = material(
        dice, dice.pick(("plain", "stripes")), shade(dice, ACCENTS), shade(dice, ACCENTS), scale=0.05
    )
    body = 0.58 * height
    bone(thing, (0, 0, 0), (0, 0, body), (r, r), glass)
    bone(thing, (0, 0, body), (0, 0, 0.76 * height), (r, 0.36 * r), glass)
    bone(thing, (0, 0, 0.74 * height), (0, 0, 0.95 * height), (0.36 * r, 0.33 * r), glass)
    bone(
        thing,
        (0, 0, 0.93 * height),
        (0, 0, height),
        (0.42 * r, 0.42 * r),
        material(dice, "plain", shade(dice, ACCENTS)),
    )
    bone(thing, (0, 0, 0.14 * height), (0, 0, 0.44 * height), (1.03 * r, 1.03 * r), paper)
    return thing


def cup(dice: Dice) -> Thing:
    """A cup or a glass."""
    thing = Thing("cup", 0.09, 0.09, 0.1)
    tint = material(dice, "plain", shade(dice, ACCENTS), gloss=0.4)
    bone(thing, (0, 0, 0), (0, 0, dice.uniform(0.08, 0.12)), (0.032, 0.041), tint)
    return thing


def potted_plant(dice: Dice, size: float) -> Thing:
    """A pot with blades, a bush or a little tree, `size` metres tall."""
    thing = Thing("pottedplant", 0.5 * size, 0.5 * size, size)
    clay = material(
        dice, "plain", shade(dice, ((0.62, 0.34, 0.22), (0.9, 0.9, 0.88), (0.25, 0.3, 0.35))), gloss=0.2
    )
    green = material(dice, "foliage", (0.28, 0.48, 0.18), (0.08, 0.2, 0.06))
    soil = material(dice, "gravel", (0.2, 0.14, 0.1))
    pot = 0.3 * size
    bone(thing, (0, 0, 0), (0, 0, pot), (0.12 * size, 0.17 * size), clay)
    bone(thing, (0, 0, 0.9 * pot), (0, 0, 1.02 * pot), (0.15 * size, 0.15 * size), soil)
    kind = dice.integer(0, 2)
    if kind == 0:
        count = dice.integer(9, 14)
        for k in range(count):
            angle = 2 * np.pi * k / count + dice.uniform(-0.3, 0.3)
            out, up = dice.uniform(0.08, 0.32) * size, dice.uniform(0.3, 0.68) * size
            way = np.array([np.cos(angle), np.sin(angle), 0.0])
            middle = 0.45 * out * way + np.array([0, 0, pot + 0.65 * up])
            tip = out * way + np.array([0, 0, pot + up])
            side = np.array([-np.sin(angle), np.cos(angle), 0.0])
            bone(thing, (0, 0, pot), middle, (0.02 * size, 0.045 * size), green, flat=0.2, across=side)
            bone(thing, middle, tip, (0.045 * size, 0.004), green, flat=0.2, across=side)
        return thing
    stem = pot
    if kind == 2:
        stem = 0.55 * size
        bone(
            thing,
            (0, 0, pot),
            (0, 0, stem + 0.1 * size),
            (0.025 * size, 0.02 * size),
            material(dice, "wood", (0.4, 0.28, 0.18)),
        )
    for _ in range(8):
        x, y = dice.uniform(-0.13, 0.13) * size, dice.uniform(-0.13, 0.13) * size
        z = stem + dice.uniform(0.08, 0.8) * (0.88 * size - stem)
        half = dice.uniform(0.08, 0.13) * size
        ellipsoid(thing, (x, y, z), (half, half, half * dice.uniform(0.9, 1.4)), green)
    return thing


def screen(dice: Dice, width: float) -> Thing:
    """A television on its foot, as a thing of its own class."""
    return clutter.television(dice, width, stand=True)


def top_of(piece: Piece) -> float:
    """Height of the upper face of an upright piece."""
    return float(piece.shape.centre[2] + piece.shape.half[2])


def seated(
    dice: Dice, thing: Thing, level: float, x: float, y: float, group: str, table: float | None = None
) -> None:
    """Put a person on a seat of a thing."""
    body = sample_body(dice)
    sitter = person(dice, body, sit(dice, body, level, table=table))
    thing.include(sitter, x, y, 0.0, dice.uniform(-0.12, 0.12), group)
    thing.height = max(thing.height, level + 0.55 * body.stature)
    thing.depth = max(thing.depth, 2 * (y + 0.36 * body.stature))


def chair(dice: Dice, *, occupied: bool, table: float | None = None) -> Thing:
    """A chair, perhaps with someone on it."""
    swivel = dice.chance(0.25) and table is None
    thing = seating.office_chair(dice) if swivel else seating.chair(dice)
    if occupied:
        level = top_of(thing.pieces[2 if swivel else 4])
        seated(dice, thing, level, 0.0, -0.07, "sitter", table)
    return thing


def sofa(dice: Dice, people: int, pet: Thing | None = None) -> Thing:
    """A sofa or an armchair with people, and perhaps an animal, on it."""
    seats = max(people, dice.integer(1, 3))
    thing = seating.sofa(dice, seats)
    level, depth = top_of(thing.pieces[4]), thing.depth
    pitch = float(thing.pieces[4].shape.half[0]) * 2
    free = [(place - (seats - 1) / 2) * pitch for place in range(seats)]
    taken = []
    for k in range(people):
        taken.append(free.pop(dice.integer(0, len(free) - 1)))
        seated(dice, thing, level, taken[-1], -depth / 2 + 0.47, f"sitter{k}")
    if pet is not None and free:
        taken.append(dice.pick(free))
        thing.include(pet, taken[-1], 0.1, level, dice.uniform(-1.6, 1.6), "pet")
    thing.pieces = [
        piece
        for piece in thing.pieces
        if not (piece.group.startswith("cushion") and _near(piece, taken, 0.5))
    ]
    return thing


def _near(piece: Piece, places: list[float], gap: float) -> bool:
    """Whether a piece is closer along x than a gap to one of some places."""
    return any(abs(float(piece.shape.centre[0]) - x) < gap for x in places)


def dining_group(dice: Dice, people: int) -> Thing:
    """A laid table with chairs around it, some of them taken."""
    width, depth, height = dice.uniform(1.1, 1.6), dice.uniform(0.75, 0.9), dice.uniform(0.72, 0.76)
    table = seating.table(dice, width, depth, height)
    thing = Thing("table", width + 0.7, depth + 1.3, height)
    thing.include(table, 0, 0, 0, 0, "table")
    pattern, left = dice.integer(0, 2**31), people
    places = [(side * 0.24 * width, v) for v in (1, -1) for side in (-1, 1)]
    for k, (x, v) in enumerate(places):
        taken = left > 0 and (v < 0 or dice.chance(0.5))
        if not taken and dice.chance(0.35):
            continue
        left -= int(taken)
        seat = chair(Dice(pattern) if not taken else Dice(pattern, k), occupied=taken, table=height)
        out = depth / 2 + (0.2 if taken else dice.uniform(0.08, 0.3))
        yaw = (np.pi if v > 0 else 0.0) + dice.uniform(-0.15, 0.15)
        thing.include(seat, x, v * out, 0.0, yaw, f"seat{k}")
        thing.height = max(thing.height, seat.height)
    lay(dice, thing, Top(0, 0, height, 0.75 * width, 0.6 * depth), dice.integer(2, 5))
    return thing


def lay(dice: Dice, thing: Thing, top: Top, count: int) -> None:
    """Stand bottles, cups and a plant on a level surface of a thing."""
    for k in range(count):
        kind = dice.integer(0, 5)
        small = (
            bottle(dice)
            if kind <= 2
            else cup(dice)
            if kind <= 4
            else potted_plant(dice, dice.uniform(0.25, 0.4))
        )
        x = top.x + ((k + 0.5) / count - 0.5) * top.width + dice.uniform(-0.03, 0.03)
        y = top.y + dice.uniform(-0.5, 0.5) * top.depth
        thing.include(small, x, y, top.z, 0.0, f"laid{k}")
