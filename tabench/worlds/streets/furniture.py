"""What stands at the kerb: lamps, traffic lights, signs, bollards, bins, shelters."""

from __future__ import annotations

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.palette import ACCENTS, shade
from tabench.worlds.scenes.thing import Thing
from tabench.worlds.streets.palette import METALS, PAINTS
from tabench.worlds.streets.solids import limb

RED, AMBER, GREEN = (0.9, 0.08, 0.06), (0.95, 0.6, 0.08), (0.08, 0.75, 0.4)


def _metal(dice: Dice) -> Material:
    return material(dice, "plain", shade(dice, METALS, 0.04), gloss=0.3)


def lamp_post(dice: Dice, reach: float) -> Thing:
    """A street lamp whose arm reaches over the road: towards +x if `reach` is positive."""
    height, metal = dice.uniform(5.0, 8.5), _metal(dice)
    thing = Thing("object", 0.3, 0.3, height)
    thing.cylinder((0, 0, 0), (0.22, 0.22, 1.0), metal)
    thing.cylinder((0, 0, 1.0), (0.14, 0.14, height - 1.0), metal)
    limb(thing, (0, 0, height), (reach, 0, height + 0.3), 0.09, metal)
    thing.ball((0.95 * reach, 0, height + 0.15), (0.7, 0.26, 0.18), metal)
    return thing


def traffic_light(dice: Dice, reach: float) -> Thing:
    """A signal on a pole that faces -y, with another on a gantry over the road if `reach` is not 0."""
    metal = _metal(dice)
    black = material(dice, "plain", (0.07, 0.07, 0.07))
    lit = dice.integer(0, 2)
    thing = Thing("object", 0.35, 0.35, 3.4)
    heads = [(0.0, 2.25)]
    thing.cylinder((0, 0, 0), (0.15, 0.15, 3.3 if not reach else 5.4), metal)
    if reach:
        limb(thing, (0, 0, 5.3), (reach, 0, 5.4), 0.12, metal)
        heads.append((reach, 4.7))
    for x, z in heads:
        thing.box((x, -0.14, z), (0.36, 0.26, 1.0), black)
        for k, tint in enumerate((GREEN, AMBER, RED)):
            on = 3.0 if k == lit else 0.0
            faded = tint if on else (0.25 * tint[0], 0.25 * tint[1], 0.25 * tint[2])
            glow = material(dice, "plain", faded, faded, glow=on)
            thing.ball((x, -0.28, z + 0.06 + 0.31 * k), (0.24, 0.1, 0.24), glow)
    return thing


def sign(dice: Dice) -> Thing:
    """A traffic sign on a pole: round, square or with a coloured rim; its face looks at -y."""
    height = dice.uniform(1.9, 2.5)
    thing = Thing("object", 0.6, 0.2, height + 0.65)
    thing.cylinder((0, 0, 0), (0.09, 0.09, height + 0.55), _metal(dice))
    z = height
    for _ in range(dice.pick((1, 1, 2))):
        wide = dice.uniform(0.52, 0.68)
        inner = dice.pick(((0.9, 0.9, 0.88), (0.9, 0.9, 0.88), (0.1, 0.25, 0.62), (0.9, 0.78, 0.1)))
        rim = dice.pick(((0.75, 0.08, 0.08), (0.75, 0.08, 0.08), (0.1, 0.25, 0.62), (0.9, 0.9, 0.88)))
        face, edge = material(dice, "plain", inner), material(dice, "plain", rim)
        add = dice.pick((thing.ball, thing.ball, thing.box))
        add((0, -0.06, z), (wide, 0.05, wide), edge)
        add((0, -0.085, z + 0.12 * wide), (0.74 * wide, 0.05, 0.76 * wide), face)
        z -= wide + 0.05
    return thing


def board(dice: Dice, width: float) -> Thing:
    """A direction board on two poles, facing -y."""
    thing, metal = Thing("object", width, 0.3, 3.6), _metal(dice)
    tint = dice.pick(((0.1, 0.22, 0.5), (0.9, 0.78, 0.12), (0.88, 0.88, 0.86), (0.08, 0.36, 0.22)))
    for side in (-1, 1):
        thing.cylinder((side * 0.35 * width, 0, 0), (0.1, 0.1, 3.4), metal)
    thing.box((0, -0.08, 2.2), (width, 0.05, 1.3), material(dice, "plain", tint))
    for k in range(2):
        bar = material(dice, "plain", (0.92, 0.92, 0.9) if tint[0] < 0.5 else (0.1, 0.1, 0.1))
        thing.box((-0.06 * width, -0.1, 2.5 + 0.5 * k), (0.55 * width, 0.05, 0.12), bar)
    return thing


def bollard(dice: Dice) -> Thing:
    """A low post."""
    thing, high = Thing("object", 0.16, 0.16, 1.0), dice.uniform(0.75, 1.0)
    thing.cylinder((0, 0, 0), (0.13, 0.13, high), _metal(dice))
    thing.cylinder((0, 0, high - 0.2), (0.14, 0.14, 0.09), material(dice, "plain", (0.85, 0.85, 0.84)))
    return thing


def litter_bin(dice: Dice) -> Thing:
    """A bin; CityScapes leaves such things unlabelled."""
    thing = Thing("void", 0.6, 0.6, 1.1)
    tint = material(dice, "plain", shade(dice, ((0.2, 0.24, 0.22), (0.62, 0.4, 0.1), (0.14, 0.26, 0.44))))
    if dice.chance(0.5):
        thing.box((0, 0, 0.05), (0.58, 0.62, 0.95), tint)
        thing.box((0, 0, 1.0), (0.62, 0.66, 0.08), material(dice, "plain", (0.12, 0.12, 0.12)))
    else:
        thing.cylinder((0, 0, 0.05), (0.5, 0.5, 0.9), tint)
    return thing


def cabinet(dice: Dice) -> Thing:
    """A grey switch box or an advertisement column; unlabelled as well."""
    if dice.chance(0.5):
        thing = Thing("void", 0.9, 0.4, 1.2)
        thing.box((0, 0, 0), (0.9, 0.4, dice.uniform(0.9, 1.3)), material(dice, "plain", (0.55, 0.56, 0.54)))
        return thing
    thing = Thing("void", 1.2, 1.2, 2.9)
    poster = material(dice, "painting", shade(dice, ACCENTS), shade(dice, ACCENTS))
    thing.cylinder((0, 0, 0), (1.2, 1.2, 2.7), poster)
    thing.ball((0, 0, 2.5), (1.4, 1.4, 0.5), material(dice, "plain", (0.25, 0.3, 0.28)))
    return thing


def hood(dice: Dice, camera_height: float) -> Thing:
    """The bonnet of the car that carries the camera, below and ahead of it; unlabelled."""
    thing = Thing("void", 2.4, 2.0, 0.9)
    paint = material(dice, "plain", shade(dice, PAINTS, 0.03), gloss=0.8)
    width, top = dice.uniform(2.2, 3.0), camera_height - dice.uniform(0.35, 0.41)
    thing.ball((dice.uniform(-0.15, 0.15), 1.7, top - 0.8), (width, 2.0, 0.8), paint, casts=False)
    return thing
