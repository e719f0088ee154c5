"""Birds, on their feet or in flight."""

from __future__ import annotations

import numpy as np

from tabench.worlds.figures.skeleton import SIDES
from tabench.worlds.figures.solids import Point, block, bone, ellipsoid, frame
from tabench.worlds.scenes.dice import Dice, Floats
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import Colour, shade
from tabench.worlds.scenes.thing import Thing

FEATHERS: tuple[Colour, ...] = (
    (0.16, 0.16, 0.18),
    (0.90, 0.90, 0.90),
    (0.35, 0.26, 0.18),
    (0.25, 0.40, 0.65),
    (0.75, 0.30, 0.18),
    (0.55, 0.56, 0.60),
)


def bird(dice: Dice, *, flying: bool = False, scale: float = 1.0) -> Thing:
    """A bird on its feet or with its wings spread; faces +y."""
    s = dice.uniform(0.3, 0.55) * scale
    thing = Thing("bird", 0.4 * s, s, 0.9 * s)
    coat = material(dice, "fur", shade(dice, FEATHERS), scale=0.1)
    wing = material(dice, "fur", shade(dice, FEATHERS), scale=0.1)
    pale = material(dice, "plain", dice.pick(((0.9, 0.65, 0.2), (0.3, 0.28, 0.26), (0.85, 0.4, 0.15))))
    body = np.array([0.0, 0.0, 0.45 * s])
    tilt = 0.0 if flying else dice.uniform(0.3, 0.7)
    ahead = np.array([0.0, np.cos(tilt), np.sin(tilt)])
    over = np.array([0.0, -np.sin(tilt), np.cos(tilt)])
    axes = frame(over)
    ellipsoid(thing, body, (0.16 * s, 0.33 * s, 0.18 * s), coat, axes=axes)
    head = body + 0.36 * s * ahead + 0.13 * s * np.array([0.0, 0.0, 1.0])
    bone(thing, body + 0.2 * s * ahead, head, (0.12 * s, 0.08 * s), coat)
    ellipsoid(thing, head, np.full(3, 0.105 * s), coat)
    bone(
        thing,
        head + np.array([0.0, 0.08 * s, 0.0]),
        head + np.array([0.0, 0.24 * s, -0.02 * s]),
        (0.035 * s, 0.004 * s),
        pale,
    )
    for side in SIDES:
        ellipsoid(
            thing,
            head + np.array([side * 0.08 * s, 0.05 * s, 0.025 * s]),
            np.full(3, 0.018 * s),
            material(dice, "plain", (0.03, 0.03, 0.03)),
        )
    tail = body - 0.3 * s * ahead
    bone(thing, tail, tail - 0.34 * s * ahead, (0.09 * s, 0.13 * s), wing, flat=0.2)
    if flying:
        _spread(thing, dice, s, body, wing)
        return thing
    for side in SIDES:
        ellipsoid(
            thing,
            body + np.array([side * 0.13 * s, 0.0, 0.0]) - 0.08 * s * ahead + 0.03 * s * over,
            (0.05 * s, 0.33 * s, 0.13 * s),
            wing,
            axes=axes,
        )
        knee: Point = (side * 0.07 * s, -0.02 * s, 0.3 * s)
        bone(thing, knee, (side * 0.07 * s, 0.02 * s, 0.02 * s), (0.022 * s, 0.016 * s), pale)
        ellipsoid(thing, (side * 0.07 * s, 0.06 * s, 0.015 * s), (0.045 * s, 0.08 * s, 0.015 * s), pale)
    return thing


def _spread(thing: Thing, dice: Dice, s: float, body: Floats, wing: Material) -> None:
    beat = dice.uniform(-0.3, 0.6)
    for side in SIDES:
        root = body + np.array([side * 0.1 * s, 0.05 * s, 0.05 * s])
        bend = root + 0.42 * s * np.array([side * np.cos(beat), 0.05, np.sin(beat)])
        tip = bend + 0.6 * s * np.array([side * np.cos(beat * 0.4), -0.25, np.sin(beat * 0.4)])
        for start, end, radii in ((root, bend, (0.19, 0.2)), (bend, tip, (0.2, 0.05))):
            bone(
                thing,
                start,
                end,
                (radii[0] * s, radii[1] * s),
                wing,
                across=(0.0, 1.0, 0.0),
                flat=0.14,
                knob=True,
            )
    block(thing, body, (0.05 * s, 0.1 * s, 0.05 * s), wing)
