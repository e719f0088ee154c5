"""Cars, buses and trains; all face +y."""

from __future__ import annotations

import numpy as np

from tabench.worlds.figures.solids import block, bone, ellipsoid, frame, wheel
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import Colour, shade
from tabench.worlds.scenes.thing import Thing

PAINTS: tuple[Colour, ...] = (
    (0.75, 0.10, 0.10),
    (0.12, 0.25, 0.55),
    (0.85, 0.85, 0.86),
    (0.12, 0.12, 0.13),
    (0.60, 0.62, 0.64),
    (0.16, 0.38, 0.24),
    (0.90, 0.72, 0.15),
    (0.35, 0.55, 0.72),
)
_SIDES = (-1.0, 1.0)


def dark_glass(dice: Dice) -> Material:
    """Dark panes."""
    return material(dice, "screen", (0.16, 0.2, 0.24), gloss=0.8)


def rubber(dice: Dice) -> Material:
    """Tyres."""
    return material(dice, "plain", (0.08, 0.08, 0.085))


def bare_metal(dice: Dice) -> Material:
    """Bare metal."""
    return material(dice, "plain", (0.68, 0.69, 0.7), gloss=0.7)


def car(dice: Dice) -> Thing:
    """A saloon or an estate."""
    length, width = dice.uniform(3.8, 4.6), dice.uniform(1.65, 1.8)
    estate = dice.chance(0.45)
    thing = Thing("car", width, length, 1.45)
    paint, glass = material(dice, "plain", shade(dice, PAINTS), gloss=0.6), dark_glass(dice)
    dark, tyre, metal = material(dice, "plain", (0.12, 0.12, 0.13)), rubber(dice), bare_metal(dice)
    block(thing, (0, 0, 0.55), (width / 2, length / 2, 0.22), paint, taper=0.985)
    block(thing, (0, 0, 0.82), (width / 2 - 0.01, length / 2 - 0.05, 0.08), paint, taper=0.93)
    block(thing, (0, 0, 0.28), (width / 2 - 0.06, length / 2 - 0.1, 0.1), dark)
    cabin = 0.31 * length if estate else 0.24 * length
    back = -0.13 * length if estate else -0.05 * length
    block(thing, (0, back, 1.12), (width / 2 - 0.06, cabin + 0.24, 0.26), glass, taper=0.76)
    block(thing, (0, back, 1.385), ((width / 2 - 0.06) * 0.78, (cabin + 0.24) * 0.78, 0.025), paint)
    for x in _SIDES:
        for y in (-0.24, 0.02, 0.26):
            post = back + y * 2.0 * cabin
            low = np.array([x * (width / 2 - 0.065), post * 1.0, 0.87])
            high = np.array([x * (width / 2 - 0.06) * 0.775, back + (post - back) * 0.78, 1.385])
            bone(thing, low, high, (0.035, 0.03), paint)
        for y in (-0.31, 0.3):
            wheel(thing, (x * (width / 2 - 0.08), y * length, 0.32), 0.32, 0.2, tyre)
            wheel(thing, (x * (width / 2 - 0.07), y * length, 0.32), 0.19, 0.2, metal)
        lamp = material(dice, "plain", (0.95, 0.93, 0.85), gloss=0.8)
        rear = material(dice, "plain", (0.6, 0.06, 0.06), gloss=0.5)
        block(thing, (x * (width / 2 - 0.22), length / 2 - 0.03, 0.66), (0.15, 0.04, 0.07), lamp)
        block(thing, (x * (width / 2 - 0.18), -length / 2 + 0.03, 0.68), (0.13, 0.04, 0.08), rear)
    block(thing, (0, length / 2 - 0.01, 0.52), (0.42, 0.02, 0.07), dark)
    for end in _SIDES:
        plate = material(dice, "plain", (0.92, 0.9, 0.8))
        block(thing, (0, end * (length / 2 + 0.005), 0.42), (0.25, 0.012, 0.055), plate)
    return thing


def _windows(
    thing: Thing, dice: Dice, width: float, first: float, last: float, low: float, high: float
) -> None:
    """A row of side windows between two y, on both sides."""
    glass = dark_glass(dice)
    count = max(1, round((last - first) / 1.3))
    pitch = (last - first) / count
    for k in range(count):
        y = first + (k + 0.5) * pitch
        block(thing, (0, y, (low + high) / 2), (width / 2 + 0.015, pitch / 2 - 0.07, (high - low) / 2), glass)


def bus(dice: Dice) -> Thing:
    """A city bus, sometimes with two decks."""
    length, width = dice.uniform(8.5, 11.0), 2.5
    double = dice.chance(0.3)
    height = 4.2 if double else 3.05
    thing = Thing("bus", width, length, height)
    paint = material(dice, "plain", shade(dice, PAINTS), gloss=0.45)
    band = material(dice, "plain", shade(dice, PAINTS), gloss=0.45)
    glass, tyre, metal = dark_glass(dice), rubber(dice), bare_metal(dice)
    block(thing, (0, 0, (height + 0.35) / 2), (width / 2, length / 2, (height - 0.35) / 2), paint)
    block(thing, (0, 0, 0.62), (width / 2 + 0.008, length / 2 + 0.008, 0.16), band)
    _windows(thing, dice, width, -length / 2 + 0.3, length / 2 - 1.3, 1.25, 2.35)
    if double:
        _windows(thing, dice, width, -length / 2 + 0.3, length / 2 - 0.3, 2.9, 3.75)
        block(thing, (0, 0, 3.3), (width / 2 - 0.2, length / 2 + 0.02, 0.42), glass)
    block(thing, (0, length / 2 - 0.7, 1.4), (width / 2 + 0.012, 0.45, 0.95), glass)
    block(thing, (0, 0, 1.75), (width / 2 - 0.12, length / 2 + 0.02, 0.68), glass)
    if not double:
        block(
            thing,
            (0, length / 2 - 0.2, 2.72),
            (width / 2 - 0.4, 0.23, 0.16),
            material(dice, "plain", (0.1, 0.1, 0.1)),
        )
    for x in _SIDES:
        for y in (-0.27, 0.3):
            wheel(thing, (x * (width / 2 - 0.1), y * length, 0.48), 0.48, 0.26, tyre)
            wheel(thing, (x * (width / 2 - 0.09), y * length, 0.48), 0.26, 0.26, metal)
        lamp = material(dice, "plain", (0.95, 0.93, 0.85), gloss=0.8)
        block(thing, (x * (width / 2 - 0.3), length / 2, 0.75), (0.16, 0.03, 0.1), lamp)
        bone(
            thing,
            (x * width / 2, length / 2, 2.3),
            (x * (width / 2 + 0.22), length / 2 + 0.15, 2.1),
            (0.05, 0.09),
            tyre,
            knob=True,
        )
    return thing


def train(dice: Dice) -> Thing:
    """A railcar with a coach behind it; stands on rails."""
    length, width, high = 30.0, 2.8, 3.7
    thing = Thing("train", width, length, high)
    paint, band = (material(dice, "plain", shade(dice, PAINTS), gloss=0.45) for _ in range(2))
    glass, dark = dark_glass(dice), rubber(dice)
    nose = 13.2
    for first, last in ((-15.0, -1.0), (-0.6, nose)):
        middle, half = (first + last) / 2, (last - first) / 2
        block(thing, (0, middle, 2.25), (width / 2, half, 1.25), paint)
        block(
            thing,
            (0, middle, 3.55),
            (width / 2, half, 0.12),
            material(dice, "plain", (0.5, 0.5, 0.52)),
            taper=0.8,
        )
        block(thing, (0, middle, 1.25), (width / 2 + 0.01, half - 0.01, 0.2), band)
        block(thing, (0, middle, 0.75), (width / 2 - 0.25, half - 0.6, 0.3), dark)
        _windows(thing, dice, width, first + 0.5, last - 0.9, 2.05, 2.95)
        for y in (first + 1.6, first + 3.4, last - 3.4, last - 1.6):
            for x in _SIDES:
                wheel(thing, (x * 0.75, y, 0.55), 0.42, 0.14, dark)
    axes = frame((0, 1, 0), (1, 0, 0))
    block(thing, (0, nose + 0.6, 2.25), (width / 2, 1.25, 0.6), paint, axes=axes, taper=0.72)
    block(thing, (0, nose + 0.9, 2.75), (width / 2 - 0.45, 0.34, 0.31), glass, axes=axes, taper=0.9)
    block(thing, (0, nose + 1.2, 1.1), (width / 2 - 0.1, 0.12, 0.3), dark)
    for x in _SIDES:
        ellipsoid(
            thing,
            (x * 0.75, nose + 1.18, 1.65),
            (0.14, 0.06, 0.14),
            material(dice, "plain", (1.0, 0.95, 0.8), glow=1.2),
        )
    return thing
