"""People on foot and on bicycles. All face +y."""

from __future__ import annotations

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import material
from tabench.worlds.scenes.palette import ACCENTS, shade
from tabench.worlds.scenes.thing import Thing
from tabench.worlds.streets.palette import CLOTHES, HAIRS, SKINS, TROUSERS
from tabench.worlds.streets.solids import limb


def walker(dice: Dice) -> Thing:
    """A grown person or a child, walking or standing."""
    height = dice.uniform(1.05, 1.35) if dice.chance(0.12) else dice.uniform(1.56, 1.9)
    k = height / 1.75
    thing = Thing("human", 0.6 * k, 0.7 * k, height)
    coat = material(dice, "fabric", shade(dice, CLOTHES))
    trousers = material(dice, "fabric", shade(dice, TROUSERS))
    skin = material(dice, "plain", shade(dice, SKINS, 0.03))
    shoe = material(dice, "plain", (0.12, 0.11, 0.1))
    stride = dice.uniform(0.05, 0.32) * k
    skirt = dice.chance(0.15)
    for side in (-1, 1):
        x, y = side * 0.1 * k, side * stride
        knee = (x, 0.5 * y + 0.05 * k, 0.47 * k)
        limb(thing, (x, 0.0, 0.9 * k), knee, 0.19 * k, trousers)
        limb(thing, knee, (x, y, 0.08 * k), 0.14 * k, skin if skirt else trousers)
        thing.box((x, y + 0.05 * k, 0.0), (0.1 * k, 0.27 * k, 0.09 * k), shoe)
        hand = (side * 0.29 * k, -0.8 * y, 0.84 * k)
        shoulder = (side * 0.21 * k, 0.0, 1.42 * k)
        elbow = (side * 0.27 * k, -0.45 * y - 0.03, 1.12 * k)
        limb(thing, shoulder, elbow, 0.12 * k, coat)
        limb(thing, elbow, hand, 0.1 * k, coat)
        thing.ball((hand[0], hand[1], hand[2] - 0.12 * k), (0.09 * k, 0.1 * k, 0.15 * k), skin)
    thing.ball((0, 0, 0.86 * k), (0.46 * k, 0.3 * k, 0.68 * k), coat)
    thing.box((0, 0, dice.uniform(0.76, 0.92) * k), (0.36 * k, 0.24 * k, 0.4 * k), coat)
    if skirt:
        thing.cylinder((0, 0, 0.5 * k), (0.46 * k, 0.42 * k, 0.42 * k), trousers)
    _head(dice, thing, (0.0, 0.0, 1.51 * k), k)
    if dice.chance(0.35):
        bag = material(dice, "fabric", shade(dice, ACCENTS))
        if dice.chance(0.5):
            thing.ball((0, -0.2 * k, 0.95 * k), (0.34 * k, 0.24 * k, 0.48 * k), bag)
        else:
            thing.box((dice.pick((-1, 1)) * 0.32 * k, -0.05, 0.62 * k), (0.1, 0.32, 0.26), bag)
    return thing


def _head(dice: Dice, thing: Thing, at: tuple[float, float, float], k: float) -> None:
    """Neck, face and hair; `at` is the lowest point of the head."""
    x, y, z = at
    skin = material(dice, "plain", shade(dice, SKINS, 0.03))
    hair = material(dice, "plain", shade(dice, HAIRS, 0.03))
    thing.cylinder((x, y - 0.01, z - 0.08 * k), (0.11 * k, 0.11 * k, 0.14 * k), skin)
    thing.ball((x, y + 0.01, z), (0.16 * k, 0.19 * k, 0.24 * k), skin)
    thing.ball((x, y - 0.02, z + 0.06 * k), (0.18 * k, 0.2 * k, 0.2 * k), hair)


def rider(dice: Dice, thing: Thing) -> None:
    """Seat a person on a thing whose saddle is at (0, -0.3, 0.9) and handlebar at (0, 0.42, 0.98)."""
    coat = material(dice, "fabric", shade(dice, CLOTHES))
    trousers = material(dice, "fabric", shade(dice, TROUSERS))
    body = Thing("human", 0.5, 0.9, 1.75)
    lift = dice.uniform(-0.18, 0.18)
    for side in (-1, 1):
        knee = (side * 0.13, 0.14, 0.72 + side * lift)
        limb(body, (side * 0.1, -0.26, 0.92), knee, 0.18, trousers)
        limb(body, knee, (side * 0.12, -0.06, 0.3 + side * lift), 0.13, trousers)
        shoulder = (side * 0.2, 0.0, 1.4)
        limb(body, shoulder, (side * 0.24, 0.38, 1.02), 0.11, coat)
    limb(body, (0, -0.3, 0.82), (0, 0.06, 1.52), 0.4, coat, round_=True)
    _head(dice, body, (0.0, 0.1, 1.5), 1.0)
    if dice.chance(0.4):
        helmet = material(dice, "plain", shade(dice, ACCENTS), gloss=0.4)
        body.ball((0, 0.09, 1.6), (0.22, 0.27, 0.19), helmet)
    thing.include(body, 0.0, 0.0, 0.0, 0.0, "rider")
