"""Trees, bushes and hedges."""

from __future__ import annotations

import numpy as np

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import darker, shade
from tabench.worlds.scenes.thing import Thing
from tabench.worlds.streets.palette import BARKS, LEAVES
from tabench.worlds.streets.solids import limb


def _foliage(dice: Dice) -> Material:
    tint = shade(dice, LEAVES, 0.05)
    return material(dice, "leaves", darker(tint, 0.5), tint)


def _crown(
    dice: Dice, thing: Thing, low: float, width: float, height: float, balls: int, leaf: Material
) -> None:
    """A crown of many balls whose lowest point is at `low`."""
    thing.ball((0, 0, low + 0.12 * height), (0.72 * width, 0.72 * width, 0.8 * height), leaf)
    for k in range(balls):
        turn = 2 * np.pi * (k * 0.618 % 1)
        level = dice.uniform(0.05, 0.85)
        out = 0.36 * width * float(np.sqrt(max(1.0 - (2 * level - 0.9) ** 2, 0.1))) * dice.uniform(0.7, 1.1)
        size = dice.uniform(0.26, 0.46) * width
        x, y = out * float(np.cos(turn)), out * float(np.sin(turn))
        thing.ball(
            (x, y, low + level * height - 0.1 * size), (size, size, size * dice.uniform(0.7, 1.0)), leaf
        )


def tree(dice: Dice, *, street: bool, fine: bool = True) -> Thing:
    """A tree; those of a street have a bare trunk that cars pass below."""
    trunk = dice.uniform(2.3, 3.4) if street else dice.uniform(0.8, 2.2)
    width, height = dice.uniform(3.0, 5.5), dice.uniform(3.5, 7.0)
    thing = Thing("nature", width, width, trunk + height)
    bark = material(dice, "bark", shade(dice, BARKS, 0.04))
    thick = dice.uniform(0.2, 0.42)
    thing.cylinder((0, 0, 0), (thick, thick, trunk + 0.4 * height), bark)
    if fine:
        for side in (-1, 1):
            end = (side * 0.2 * width, dice.uniform(-0.5, 0.5), trunk + 0.3 * height)
            limb(thing, (0, 0, trunk - 0.5), end, 0.5 * thick, bark)
    _crown(dice, thing, trunk - 0.3, width, height, 12 if fine else 5, _foliage(dice))
    return thing


def conifer(dice: Dice) -> Thing:
    """A stack of shrinking crowns."""
    width, height = dice.uniform(2.2, 3.6), dice.uniform(5.0, 10.0)
    thing, leaf = Thing("nature", width, width, height), _foliage(dice)
    thing.cylinder((0, 0, 0), (0.25, 0.25, 0.4 * height), material(dice, "bark", shade(dice, BARKS)))
    for k in range(6):
        size = width * (1.0 - 0.15 * k)
        thing.ball((0, 0, 0.06 * height + 0.15 * height * k), (size, size, 0.3 * height), leaf)
    return thing


def bush(dice: Dice, width: float) -> Thing:
    """Leaves down to the ground."""
    thing, leaf = Thing("nature", width, width, 0.9 * width), _foliage(dice)
    for _ in range(5):
        size = dice.uniform(0.45, 0.75) * width
        x, y = dice.uniform(-0.3, 0.3) * width, dice.uniform(-0.3, 0.3) * width
        thing.ball((x, y, -0.15 * size), (size, size, size * dice.uniform(0.8, 1.3)), leaf)
    return thing


def hedge(dice: Dice, length: float, height: float) -> Thing:
    """A cut hedge along y."""
    thing, leaf = Thing("nature", 0.8, length, height), _foliage(dice)
    thing.box((0, 0, 0), (0.7, length, height * 0.93), leaf)
    for k in range(max(2, int(length / 1.2))):
        y = -length / 2 + (k + 0.5) * length / max(2, int(length / 1.2))
        thing.ball((0, y, 0.35 * height), (0.85, 1.5, 0.68 * height), leaf)
    return thing
