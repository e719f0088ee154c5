"""Cars, vans, lorries, buses and bicycles. All face +y."""

from __future__ import annotations

from math import atan2

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import shade
from tabench.worlds.scenes.thing import Thing
from tabench.worlds.streets.palette import BUSES, LORRIES, PAINTS
from tabench.worlds.streets.people import rider
from tabench.worlds.streets.solids import leaning_box, limb

_TYRE = (0.07, 0.07, 0.075)
_GLASS = (0.13, 0.15, 0.17)


def _wheels(dice: Dice, thing: Thing, track: float, axles: tuple[float, ...], size: float) -> None:
    tyre = material(dice, "plain", _TYRE)
    rim = material(dice, "plain", (0.45, 0.46, 0.48), gloss=0.5)
    for y in axles:
        for side in (-1, 1):
            thing.ball((side * (track / 2 - 0.1), y, 0.0), (0.26, size, size), tyre)
            at = (side * (track / 2 + 0.0), y, 0.22 * size)
            thing.ball(at, (0.1, 0.56 * size, 0.56 * size), rim)


def _lights(dice: Dice, thing: Thing, width: float, length: float, height: float) -> None:
    red = material(dice, "plain", (0.62, 0.05, 0.05), gloss=0.4, glow=dice.pick((0.0, 0.0, 0.7)))
    white = material(dice, "plain", (0.92, 0.92, 0.88), gloss=0.6, glow=dice.pick((0.0, 0.5)))
    plate = material(dice, "plain", (0.88, 0.88, 0.86))
    for side in (-1, 1):
        x = side * (width / 2 - 0.2)
        thing.box((x, -length / 2, height), (0.3, 0.06, 0.17), red)
        thing.box((x, length / 2, height - 0.06), (0.34, 0.06, 0.15), white)
    for end in (-1, 1):
        thing.box((0, end * (length / 2 + 0.01), 0.42), (0.5, 0.04, 0.12), plate)


def car(dice: Dice, *, fine: bool = True) -> Thing:
    """A hatchback, a saloon, an estate or a tall car; without `fine` it has no small parts."""
    kind = dice.pick(("hatchback", "hatchback", "saloon", "estate", "tall"))
    width, length = dice.uniform(1.7, 1.86), dice.uniform(4.2, 4.8)
    height, waist = dice.uniform(1.42, 1.5), 0.92
    if kind == "hatchback":
        length = dice.uniform(3.6, 4.2)
    elif kind == "tall":
        height, waist = dice.uniform(1.62, 1.78), 1.02
    paint = material(dice, "plain", shade(dice, PAINTS, 0.03), gloss=0.55)
    dark = material(dice, "plain", (0.1, 0.1, 0.105))
    glass = material(dice, "plain", _GLASS, gloss=0.9)
    thing = Thing("vehicle", width, length, height)
    thing.box((0, 0, 0.18), (width - 0.12, length - 0.2, 0.3), dark)
    thing.box((0, 0, 0.36), (width, length - 0.34, waist - 0.42), paint)
    thing.box((0, 0, 0.3), (width - 0.14, length, 0.36), paint)
    nose, tail = 0.3 * length, 0.0 if kind != "saloon" else 0.15 * length
    hood = nose - 0.05
    leaning_box(thing, (0, length / 2 - hood / 2 - 0.06, waist - 0.16), (width - 0.1, hood, 0.2), -0.1, paint)
    if tail:
        thing.box((0, -length / 2 + tail / 2 + 0.06, waist - 0.2), (width - 0.1, tail, 0.22), paint)
    front, rear = length / 2 - nose, -length / 2 + tail + 0.12
    rise, slope = height - waist, 0.55 if kind != "tall" else 0.42
    lean_front, lean_rear = slope * 1.15, (0.55 if kind == "saloon" else 0.24) * rise / 0.5
    top_front, top_rear = front - lean_front, rear + lean_rear
    middle, roof = (top_front + top_rear) / 2, top_front - top_rear
    thing.box((0, middle, waist - 0.04), (width - 0.22, roof + 0.1, rise), glass)
    thing.box((0, middle, height - 0.06), (width - 0.26, roof + 0.16, 0.07), paint)
    _screen(thing, (front, waist), (top_front, height - 0.02), width - 0.24, glass)
    _screen(thing, (rear, waist), (top_rear, height - 0.02), width - 0.24, glass)
    for side in (-1, 1):
        x = side * (width / 2 - 0.13)
        limb(thing, (x, front, waist - 0.02), (x, top_front, height - 0.04), 0.09, paint)
        limb(thing, (x, rear, waist - 0.02), (x, top_rear, height - 0.04), 0.12, paint)
        thing.box((x + 0.02 * side, middle - 0.1, waist - 0.04), (0.06, 0.09, rise), paint)
        if fine:
            thing.box((side * (width / 2 + 0.06), front - 0.15, waist - 0.02), (0.16, 0.1, 0.13), paint)
    _wheels(dice, thing, width, (length / 2 - 0.78, -length / 2 + 0.74), 0.63)
    if fine:
        _lights(dice, thing, width, length, 0.66)
        thing.box((0, length / 2 + 0.0, 0.48), (0.8, 0.05, 0.14), dark)
    return thing


def _screen(
    thing: Thing, foot: tuple[float, float], top: tuple[float, float], width: float, glass: Material
) -> None:
    """A leaning window between two heights: foot and top as (y, z)."""
    dy, dz = top[0] - foot[0], top[1] - foot[1]
    length = (dy * dy + dz * dz) ** 0.5
    inward = -0.1 if dy < 0 else 0.1
    centre = (0.0, (foot[0] + top[0]) / 2 + inward, (foot[1] + top[1]) / 2 - 0.1)
    leaning_box(thing, centre, (width, 0.22, length), atan2(-dy, dz), glass)


def van(dice: Dice) -> Thing:
    """A delivery van."""
    width, length, height = dice.uniform(1.9, 2.05), dice.uniform(4.9, 6.0), dice.uniform(1.95, 2.6)
    paint = material(dice, "plain", shade(dice, LORRIES + PAINTS[:5], 0.03), gloss=0.35)
    glass = material(dice, "plain", _GLASS, gloss=0.9)
    dark = material(dice, "plain", (0.1, 0.1, 0.105))
    thing = Thing("vehicle", width, length, height)
    thing.box((0, 0, 0.2), (width - 0.1, length - 0.1, 0.3), dark)
    thing.box((0, -0.45, 0.36), (width, length - 1.1, height - 0.36), paint)
    thing.box((0, length / 2 - 0.5, 0.36), (width - 0.06, 1.0, 0.75), paint)
    _screen(thing, (length / 2 - 0.35, 1.08), (length / 2 - 1.05, height - 0.2), width - 0.2, glass)
    for side in (-1, 1):
        thing.box((side * (width / 2 - 0.01), length / 2 - 1.6, 1.2), (0.05, 0.9, 0.55), glass)
    if dice.chance(0.6):
        for side in (-1, 1):
            thing.box((side * width / 4, -length / 2 + 0.1, 1.25), (0.6, 0.05, 0.5), glass)
    _wheels(dice, thing, width, (length / 2 - 0.95, -length / 2 + 1.0), 0.68)
    _lights(dice, thing, width, length, 0.8)
    return thing


def lorry(dice: Dice) -> Thing:
    """A cab with a box behind it."""
    width, length, height = 2.4, dice.uniform(6.5, 9.0), dice.uniform(3.0, 3.6)
    paint = material(dice, "plain", shade(dice, LORRIES, 0.04), gloss=0.3)
    box = material(dice, dice.pick(("plain", "plain", "stripes")), shade(dice, LORRIES, 0.04), scale=2.0)
    glass = material(dice, "plain", _GLASS, gloss=0.9)
    dark = material(dice, "plain", (0.12, 0.12, 0.125))
    thing = Thing("vehicle", width, length, height)
    thing.box((0, 0, 0.4), (width - 0.5, length - 0.2, 0.4), dark)
    thing.box((0, length / 2 - 0.9, 0.5), (width - 0.1, 1.7, 2.1), paint)
    thing.box((0, length / 2 - 0.04, 1.5), (width - 0.4, 0.1, 0.8), glass)
    thing.box((0, -1.0, 0.85), (width, length - 2.2, height - 0.85), box)
    _wheels(dice, thing, width - 0.1, (length / 2 - 1.1, -length / 2 + 1.5, -length / 2 + 2.6), 0.95)
    _lights(dice, thing, width, length - 0.04, 0.75)
    return thing


def bus(dice: Dice) -> Thing:
    """A city bus with a band of windows."""
    width, length, height = 2.55, dice.uniform(10.5, 12.5), dice.uniform(2.95, 3.2)
    tint = shade(dice, BUSES, 0.03)
    body = material(dice, "livery", tint, shade(dice, BUSES, 0.03), gloss=0.4)
    glass = material(dice, "plain", _GLASS, gloss=0.9)
    dark = material(dice, "plain", (0.12, 0.12, 0.125))
    board = material(dice, "plain", (0.75, 0.5, 0.1), glow=0.6)
    thing = Thing("vehicle", width, length, height)
    thing.box((0, 0, 0.2), (width - 0.1, length - 0.1, 0.2), dark)
    thing.box((0, 0, 0.34), (width, length, height - 0.34), body)
    for end in (-1, 1):
        y = end * (length / 2 + 0.02)
        thing.box((0, y, 1.2), (width - 0.25, 0.06, height - 1.75), glass)
        thing.box((0, y + 0.02 * end, height - 0.42), (1.4, 0.05, 0.22), board)
    _wheels(dice, thing, width, (length / 2 - 2.5, -length / 2 + 3.2), 0.95)
    _lights(dice, thing, width, length + 0.06, 0.7)
    return thing


def bicycle(dice: Dice, *, ridden: bool) -> Thing:
    """A bicycle; its rider, if it has one, is human."""
    thing = Thing("vehicle", 0.6, 1.75, 1.05 if not ridden else 1.75)
    tyre = material(dice, "plain", (0.1, 0.1, 0.1))
    frame = material(dice, "plain", shade(dice, PAINTS), gloss=0.4)
    for y in (-0.52, 0.52):
        thing.ball((0, y, 0.0), (0.07, 0.68, 0.68), tyre)
    joints = ((0.0, -0.52, 0.34), (0.0, -0.12, 0.34), (0.0, -0.28, 0.86), (0.0, 0.4, 0.84), (0.0, 0.52, 0.34))
    for start, end in ((0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (3, 4)):
        limb(thing, joints[start], joints[end], 0.05, frame)
    thing.box((0, 0.42, 0.96), (0.56, 0.05, 0.05), tyre)
    thing.box((0, -0.3, 0.88), (0.16, 0.26, 0.07), tyre)
    if ridden:
        rider(dice, thing)
    return thing


def motorcycle(dice: Dice) -> Thing:
    """A scooter with its rider."""
    thing = Thing("vehicle", 0.7, 1.9, 1.6)
    tyre, paint = material(dice, "plain", _TYRE), material(dice, "plain", shade(dice, PAINTS), gloss=0.5)
    for y in (-0.62, 0.62):
        thing.ball((0, y, 0.0), (0.16, 0.56, 0.56), tyre)
    thing.ball((0, -0.35, 0.3), (0.4, 1.1, 0.55), paint)
    thing.box((0, 0.42, 0.3), (0.42, 0.14, 0.7), paint)
    thing.box((0, 0.46, 0.98), (0.66, 0.06, 0.06), tyre)
    thing.ball((0, 0.5, 0.86), (0.24, 0.2, 0.22), material(dice, "plain", (0.85, 0.85, 0.8), gloss=0.6))
    rider(dice, thing)
    return thing
