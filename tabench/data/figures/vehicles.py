"""Cars, buses, trains, bicycles, motorbikes, boats and aeroplanes; all face +y."""

from __future__ import annotations

import numpy as np

from tabench.data.figures.solids import block, bone, ellipsoid, frame, wheel
from tabench.data.scenes.dice import Dice
from tabench.data.scenes.materials import Material, material
from tabench.data.scenes.palette import Colour, shade
from tabench.data.scenes.thing import Thing

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


def _glass(dice: Dice) -> Material:
    return material(dice, "screen", (0.16, 0.2, 0.24), gloss=0.8)


def _rubber(dice: Dice) -> Material:
    return material(dice, "plain", (0.08, 0.08, 0.085))


def _metal(dice: Dice) -> Material:
    return material(dice, "plain", (0.68, 0.69, 0.7), gloss=0.7)


def car(dice: Dice) -> Thing:
    """A saloon or an estate."""
    length, width = dice.uniform(3.8, 4.6), dice.uniform(1.65, 1.8)
    estate = dice.chance(0.45)
    thing = Thing("car", width, length, 1.45)
    paint, glass = material(dice, "plain", shade(dice, PAINTS), gloss=0.6), _glass(dice)
    dark, tyre, metal = material(dice, "plain", (0.12, 0.12, 0.13)), _rubber(dice), _metal(dice)
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


def _windows(thing: Thing, dice: Dice, width: float, first: float, last: float, low: float, high: float) -> None:
    """A row of side windows between two y, on both sides."""
    glass = _glass(dice)
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
    glass, tyre, metal = _glass(dice), _rubber(dice), _metal(dice)
    block(thing, (0, 0, (height + 0.35) / 2), (width / 2, length / 2, (height - 0.35) / 2), paint)
    block(thing, (0, 0, 0.62), (width / 2 + 0.008, length / 2 + 0.008, 0.16), band)
    _windows(thing, dice, width, -length / 2 + 0.3, length / 2 - 1.3, 1.25, 2.35)
    if double:
        _windows(thing, dice, width, -length / 2 + 0.3, length / 2 - 0.3, 2.9, 3.75)
        block(thing, (0, 0, 3.3), (width / 2 - 0.2, length / 2 + 0.02, 0.42), glass)
    block(thing, (0, length / 2 - 0.7, 1.4), (width / 2 + 0.012, 0.45, 0.95), glass)
    block(thing, (0, 0, 1.75), (width / 2 - 0.12, length / 2 + 0.02, 0.68), glass)
    if not double:
        block(thing, (0, length / 2 - 0.2, 2.72), (width / 2 - 0.4, 0.23, 0.16), material(dice, "plain", (0.1, 0.1, 0.1)))
    for x in _SIDES:
        for y in (-0.27, 0.3):
            wheel(thing, (x * (width / 2 - 0.1), y * length, 0.48), 0.48, 0.26, tyre)
            wheel(thing, (x * (width / 2 - 0.09), y * length, 0.48), 0.26, 0.26, metal)
        lamp = material(dice, "plain", (0.95, 0.93, 0.85), gloss=0.8)
        block(thing, (x * (width / 2 - 0.3), length / 2, 0.75), (0.16, 0.03, 0.1), lamp)
        bone(thing, (x * width / 2, length / 2, 2.3), (x * (width / 2 + 0.22), length / 2 + 0.15, 2.1), (0.05, 0.09), tyre, knob=True)
    return thing


def train(dice: Dice) -> Thing:
    """A railcar with a coach behind it; stands on rails."""
    length, width, high = 30.0, 2.8, 3.7
    thing = Thing("train", width, length, high)
    paint, band = (material(dice, "plain", shade(dice, PAINTS), gloss=0.45) for _ in range(2))
    glass, dark = _glass(dice), _rubber(dice)
    nose = 13.2
    for first, last in ((-15.0, -1.0), (-0.6, nose)):
        middle, half = (first + last) / 2, (last - first) / 2
        block(thing, (0, middle, 2.25), (width / 2, half, 1.25), paint)
        block(thing, (0, middle, 3.55), (width / 2, half, 0.12), material(dice, "plain", (0.5, 0.5, 0.52)), taper=0.8)
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
        ellipsoid(thing, (x * 0.75, nose + 1.18, 1.65), (0.14, 0.06, 0.14), material(dice, "plain", (1.0, 0.95, 0.8), glow=1.2))
    return thing


def boat(dice: Dice) -> Thing:
    """A rowing boat, a sailing boat or a cabin cruiser; z = 0 is the water."""
    kind = dice.integer(0, 2)
    length, beam, board = ((4.2, 1.4, 0.42), (7.0, 2.2, 0.75), (7.5, 2.4, 1.0))[kind]
    thing = Thing("boat", beam, length, (1.0, 9.0, 2.6)[kind])
    hull = material(dice, "plain", shade(dice, (*PAINTS, (0.9, 0.9, 0.88), (0.9, 0.9, 0.88))), gloss=0.4)
    trim = material(dice, "plain", shade(dice, PAINTS), gloss=0.3)
    timber = material(dice, "wood", (0.55, 0.36, 0.2), gloss=0.2)
    down = np.array([0.0, 0.0, -1.0])
    half = length / 2
    # a flaring elliptic hull: pointed ends, upside down because pieces narrow upwards
    bone(thing, (0, 0, board), (0, 0, -0.35), (beam / 2, 0.72 * beam / 2), hull, flat=length / beam)
    bone(thing, (0, 0, board - 0.02), (0, 0, board + 0.06), (beam / 2 + 0.04, beam / 2 + 0.04), trim, flat=length / beam)
    bone(thing, (0, 0, board), (0, 0, board + 0.065), (beam / 2 - 0.09, beam / 2 - 0.09), timber, flat=length / beam)
    del down
    if kind == 0:
        for y in (-0.8, 0.5):
            block(thing, (0, y, board + 0.06), (beam / 2 - 0.12, 0.14, 0.04), hull)
        for x in _SIDES:
            bone(thing, (x * 0.3, 0.3, board + 0.25), (x * 1.9, -0.5, 0.02), (0.03, 0.03), timber)
    elif kind == 1:
        metal, cloth = _metal(dice), material(dice, "fabric", shade(dice, ((0.95, 0.94, 0.9), (0.95, 0.94, 0.9), (0.8, 0.3, 0.2))))
        bone(thing, (0, 0.6, board), (0, 0.6, board + 7.6), (0.07, 0.05), metal)
        bone(thing, (0, 0.6, board + 0.9), (0, -2.6, board + 0.95), (0.05, 0.05), metal)
        axes = frame((0, -0.19, 1), (0, 1, 0))
        block(thing, (0.03, -0.75, board + 4.2), (1.55, 0.03, 3.2), cloth, axes=axes, taper=0.06)
        axes = frame((0, -0.2, 1), (0, 1, 0))
        block(thing, (0.0, 1.75, board + 2.9), (1.15, 0.025, 2.6), cloth, axes=axes, taper=0.05)
        block(thing, (0, -0.7, board + 0.25), (0.6, 1.0, 0.24), hull, taper=0.8)
    else:
        block(thing, (0, 0.0, board + 0.45), (beam / 2 - 0.35, 1.7, 0.42), hull, taper=0.82)
        block(thing, (0, 0.0, board + 0.52), (beam / 2 - 0.37, 1.55, 0.17), _glass(dice), taper=0.93)
        block(thing, (0, -0.4, board + 1.15), (beam / 2 - 0.55, 0.8, 0.32), _glass(dice), taper=0.8)
        block(thing, (0, -0.4, board + 1.5), (beam / 2 - 0.55, 0.9, 0.04), hull)
        for y in np.linspace(0.8, half - 0.8, 4):
            x = beam / 2 * np.sqrt(1 - (y / half) ** 2)
            for side in _SIDES:
                bone(thing, (side * x, y, board), (side * x, y, board + 0.5), (0.025, 0.025), _metal(dice))
    return thing


def aeroplane(dice: Dice) -> Thing:
    """An airliner or a small propeller plane; z = 0 is the ground under its wheels."""
    small = dice.chance(0.45)
    k = 1.0 if small else 2.6
    length, span = (8.0 * k, 10.0 * k) if small else (8.5 * k, 8.5 * k)
    r, lift = (0.62 * k, 1.35) if small else (0.58 * k, 2.9)
    thing = Thing("aeroplane", span, length, lift + 2.6 * k)
    paint = material(dice, "plain", shade(dice, ((0.9, 0.9, 0.9), (0.9, 0.9, 0.9), *PAINTS[:3])), gloss=0.4)
    accent, glass, dark = material(dice, "plain", shade(dice, PAINTS), gloss=0.4), _glass(dice), _rubber(dice)
    front, tail = 0.36 * length, -0.5 * length
    across = (1.0, 0.0, 0.0)
    bone(thing, (0, -0.1 * length, lift), (0, front, lift), (r, r), paint)
    ellipsoid(thing, (0, front, lift), (r, 0.14 * length, r), paint)
    bone(thing, (0, -0.1 * length, lift), (0, tail, lift + 0.45 * r), (r, 0.22 * r), paint, across=across)
    ellipsoid(thing, (0, front + 0.055 * length, lift + 0.5 * r), (0.6 * r, 0.05 * length, 0.32 * r), glass)
    wing_z = lift + (0.9 * r if small else -0.5 * r)
    sweep = 0.0 if small else 0.28
    for x in _SIDES:
        root, tip = np.array([x * 0.3 * r, 0.08 * length, wing_z]), np.array([x * span / 2, 0.08 * length - sweep * span / 2, wing_z + 0.04 * span])
        bone(thing, root, tip, (0.1 * length, (0.075 if small else 0.035) * length), paint, across=(0, 1, 0), flat=0.13, knob=True)
        root, tip = np.array([0, tail + 0.05 * length, lift + 0.6 * r]), np.array([x * 0.17 * span, tail, lift + 0.75 * r])
        bone(thing, root, tip, (0.065 * length, 0.035 * length), accent, across=(0, 1, 0), flat=0.13)
        gear = np.array([x * (0.9 * k if small else 1.7), 0.02 * length, 0.0])
        bone(thing, (0.5 * gear[0], gear[1], lift - 0.7 * r), gear + np.array([0, 0, 0.3]), (0.06 * k, 0.05 * k), dark)
        wheel(thing, gear + np.array([0, 0, 0.16 * k + 0.1]), 0.16 * k + 0.1, 0.12 * k, dark)
        if not small:
            bone(thing, (x * 0.19 * span, 0.1 * length, wing_z - 0.55 * r), (x * 0.19 * span, -0.02 * length, wing_z - 0.5 * r), (0.42 * r, 0.3 * r), accent)
    bone(thing, (0, tail + 0.09 * length, lift + 0.3 * r), (0, tail - 0.01 * length, lift + 0.3 * r + 1.5 * k), (0.085 * length, 0.04 * length), accent, across=(0, 1, 0), flat=0.1)
    nose = front + 0.14 * length
    bone(thing, (0, front - 0.02 * length, lift - 0.6 * r), (0, front, 0.3), (0.06 * k, 0.05 * k), dark)
    wheel(thing, (0, front, 0.13 * k + 0.1), 0.13 * k + 0.1, 0.1 * k, dark)
    if small:
        angle = dice.uniform(0, np.pi)
        blade = 0.95 * np.array([np.cos(angle), 0.0, np.sin(angle)])
        hub = np.array([0, nose, lift])
        bone(thing, hub - blade, hub + blade, (0.1, 0.1), dark, flat=0.25)
        bone(thing, hub - np.array([0, 0.15, 0]), hub + np.array([0, 0.15, 0]), (0.16, 0.05), accent)
    else:
        for y in np.linspace(-0.2 * length, front - 0.5, 14):
            block(thing, (0, y, lift + 0.25 * r), (r + 0.01, 0.18, 0.16), glass)
    return thing
