"""Boats and aeroplanes; all face +y."""

from __future__ import annotations

import numpy as np

from tabench.worlds.figures.solids import block, bone, ellipsoid, frame, wheel
from tabench.worlds.figures.vehicles import PAINTS, bare_metal, dark_glass, rubber
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import material
from tabench.worlds.scenes.palette import shade
from tabench.worlds.scenes.thing import Thing

_SIDES = (-1.0, 1.0)


def boat(dice: Dice) -> Thing:
    """A rowing boat, a sailing boat or a cabin cruiser; z = 0 is the water."""
    kind = dice.integer(0, 2)
    length, beam, board = ((4.2, 1.4, 0.42), (7.0, 2.2, 0.75), (7.5, 2.4, 1.0))[kind]
    thing = Thing("boat", beam, length, (1.0, 9.0, 2.6)[kind])
    hull = material(dice, "plain", shade(dice, (*PAINTS, (0.9, 0.9, 0.88), (0.9, 0.9, 0.88))), gloss=0.4)
    trim = material(dice, "plain", shade(dice, PAINTS), gloss=0.3)
    timber = material(dice, "wood", (0.55, 0.36, 0.2), gloss=0.2)
    half = length / 2
    # a flaring elliptic hull: pointed ends, upside down because pieces narrow upwards
    bone(thing, (0, 0, board), (0, 0, -0.35), (beam / 2, 0.72 * beam / 2), hull, flat=length / beam)
    bone(
        thing,
        (0, 0, board - 0.02),
        (0, 0, board + 0.06),
        (beam / 2 + 0.04, beam / 2 + 0.04),
        trim,
        flat=length / beam,
    )
    bone(
        thing,
        (0, 0, board),
        (0, 0, board + 0.065),
        (beam / 2 - 0.09, beam / 2 - 0.09),
        timber,
        flat=length / beam,
    )
    if kind == 0:
        for y in (-0.8, 0.5):
            block(thing, (0, y, board + 0.06), (beam / 2 - 0.12, 0.14, 0.04), hull)
        for x in _SIDES:
            bone(thing, (x * 0.3, 0.3, board + 0.25), (x * 1.9, -0.5, 0.02), (0.03, 0.03), timber)
    elif kind == 1:
        metal, cloth = (
            bare_metal(dice),
            material(dice, "fabric", shade(dice, ((0.95, 0.94, 0.9), (0.95, 0.94, 0.9), (0.8, 0.3, 0.2)))),
        )
        bone(thing, (0, 0.6, board), (0, 0.6, board + 7.6), (0.07, 0.05), metal)
        bone(thing, (0, 0.6, board + 0.9), (0, -2.6, board + 0.95), (0.05, 0.05), metal)
        axes = frame((0, -0.19, 1), (0, 1, 0))
        block(thing, (0.03, -0.75, board + 4.2), (1.55, 0.03, 3.2), cloth, axes=axes, taper=0.06)
        axes = frame((0, -0.2, 1), (0, 1, 0))
        block(thing, (0.0, 1.75, board + 2.9), (1.15, 0.025, 2.6), cloth, axes=axes, taper=0.05)
        block(thing, (0, -0.7, board + 0.25), (0.6, 1.0, 0.24), hull, taper=0.8)
    else:
        block(thing, (0, 0.0, board + 0.45), (beam / 2 - 0.35, 1.7, 0.42), hull, taper=0.82)
        block(thing, (0, 0.0, board + 0.52), (beam / 2 - 0.37, 1.55, 0.17), dark_glass(dice), taper=0.93)
        block(thing, (0, -0.4, board + 1.15), (beam / 2 - 0.55, 0.8, 0.32), dark_glass(dice), taper=0.8)
        block(thing, (0, -0.4, board + 1.5), (beam / 2 - 0.55, 0.9, 0.04), hull)
        for y in np.linspace(0.8, half - 0.8, 4):
            x = beam / 2 * np.sqrt(1 - (y / half) ** 2)
            for side in _SIDES:
                bone(
                    thing, (side * x, y, board), (side * x, y, board + 0.5), (0.025, 0.025), bare_metal(dice)
                )
    return thing


def aeroplane(dice: Dice) -> Thing:
    """An airliner or a small propeller plane; z = 0 is the ground under its wheels."""
    small = dice.chance(0.45)
    k = 1.0 if small else 2.6
    length, span = (8.0 * k, 10.0 * k) if small else (8.5 * k, 8.5 * k)
    r, lift = (0.62 * k, 1.35) if small else (0.58 * k, 2.9)
    thing = Thing("aeroplane", span, length, lift + 2.6 * k)
    paint = material(dice, "plain", shade(dice, ((0.9, 0.9, 0.9), (0.9, 0.9, 0.9), *PAINTS[:3])), gloss=0.4)
    accent, glass, dark = (
        material(dice, "plain", shade(dice, PAINTS), gloss=0.4),
        dark_glass(dice),
        rubber(dice),
    )
    front, tail = 0.36 * length, -0.5 * length
    across = (1.0, 0.0, 0.0)
    bone(thing, (0, -0.1 * length, lift), (0, front, lift), (r, r), paint)
    ellipsoid(thing, (0, front, lift), (r, 0.14 * length, r), paint)
    bone(thing, (0, -0.1 * length, lift), (0, tail, lift + 0.45 * r), (r, 0.22 * r), paint, across=across)
    ellipsoid(thing, (0, front + 0.055 * length, lift + 0.5 * r), (0.6 * r, 0.05 * length, 0.32 * r), glass)
    wing_z = lift + (0.9 * r if small else -0.5 * r)
    sweep = 0.0 if small else 0.28
    for x in _SIDES:
        root, tip = (
            np.array([x * 0.3 * r, 0.08 * length, wing_z]),
            np.array([x * span / 2, 0.08 * length - sweep * span / 2, wing_z + 0.04 * span]),
        )
        bone(
            thing,
            root,
            tip,
            (0.1 * length, (0.075 if small else 0.035) * length),
            paint,
            across=(0, 1, 0),
            flat=0.13,
            knob=True,
        )
        root, tip = (
            np.array([0, tail + 0.05 * length, lift + 0.6 * r]),
            np.array([x * 0.17 * span, tail, lift + 0.75 * r]),
        )
        bone(thing, root, tip, (0.065 * length, 0.035 * length), accent, across=(0, 1, 0), flat=0.13)
        gear = np.array([x * (0.9 * k if small else 1.7), 0.02 * length, 0.0])
        bone(
            thing,
            (0.5 * gear[0], gear[1], lift - 0.7 * r),
            gear + np.array([0, 0, 0.3]),
            (0.06 * k, 0.05 * k),
            dark,
        )
        wheel(thing, gear + np.array([0, 0, 0.16 * k + 0.1]), 0.16 * k + 0.1, 0.12 * k, dark)
        if not small:
            bone(
                thing,
                (x * 0.19 * span, 0.1 * length, wing_z - 0.55 * r),
                (x * 0.19 * span, -0.02 * length, wing_z - 0.5 * r),
                (0.42 * r, 0.3 * r),
                accent,
            )
    bone(
        thing,
        (0, tail + 0.09 * length, lift + 0.3 * r),
        (0, tail - 0.01 * length, lift + 0.3 * r + 1.5 * k),
        (0.085 * length, 0.04 * length),
        accent,
        across=(0, 1, 0),
        flat=0.1,
    )
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
