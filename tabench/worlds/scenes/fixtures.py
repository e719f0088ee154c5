"""What belongs to the walls and the ceiling: windows, doors, pictures, lamps, rugs."""

from __future__ import annotations

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import material
from tabench.worlds.scenes.palette import ACCENTS, CARPETS, FABRICS, LINENS, PAINTS, WOODS, shade
from tabench.worlds.scenes.seating import timber
from tabench.worlds.scenes.thing import Thing

SKIES = ((0.93, 0.96, 1.0), (0.85, 0.92, 1.0), (1.0, 0.97, 0.92))


def window(dice: Dice, width: float, height: float) -> Thing:
    """A window with frame, bars, sill and often curtains or a blind."""
    thing = Thing("window", width, 0.12, height)
    frame = material(
        dice, "plain", dice.pick(((0.93, 0.93, 0.92), (0.9, 0.9, 0.88), (0.4, 0.26, 0.16))), gloss=0.2
    )
    blind = dice.chance(0.4)
    pane = material(dice, "outdoors", dice.pick(SKIES), glow=dice.uniform(0.9, 2.5))
    thing.box((0, -0.05, 0.0), (width, 0.02, height), pane, glass=blind or dice.chance(0.35), casts=False)
    for side in (-1, 1):
        thing.box((side * (width / 2 - 0.03), -0.02, 0), (0.06, 0.08, height), frame, casts=False)
    for z in (0.0, height - 0.06):
        thing.box((0, -0.02, z), (width, 0.08, 0.06), frame, casts=False)
    bars = max(1, round(width / 0.7))
    for k in range(1, bars + (0 if bars > 1 else 1)):
        x = 0.0 if bars == 1 else -width / 2 + k * width / bars
        thing.box((x, -0.03, 0), (0.045, 0.05, height), frame, casts=False)
    if dice.chance(0.5):
        thing.box((0, -0.03, height * 0.62), (width, 0.045, 0.04), frame, casts=False)
    thing.box((0, 0.0, -0.04), (width + 0.1, 0.12, 0.04), frame, casts=False)
    style = dice.integer(0, 3)
    if style == 0:
        cloth = material(dice, "fabric", shade(dice, LINENS))
        drop = dice.uniform(0.2, 0.6) * height
        slats = max(3, int(drop / 0.09))
        for k in range(slats):
            z = height - (k + 1) * drop / slats
            thing.box(
                (0, 0.03, z), (width - 0.04, 0.02, drop / slats - 0.012), cloth, group="blind", casts=False
            )
    elif style in (1, 2):
        cloth = material(dice, "fabric", shade(dice, LINENS + FABRICS))
        for side in (-1, 1):
            folds = dice.integer(3, 5)
            for k in range(folds):
                x = side * (width / 2 + 0.14 - k * 0.085)
                size = (0.11, 0.09, height + 0.35)
                thing.cylinder((x, 0.04, -0.22), size, cloth, group=f"curtain{side}", casts=False)
        rod = material(dice, "plain", (0.3, 0.25, 0.2), gloss=0.5)
        thing.box((0, 0.04, height + 0.13), (width + 0.5, 0.03, 0.03), rod, group="rod", casts=False)
    return thing


def door(dice: Dice) -> Thing:
    """A closed door; NYUv2's thirteen classes count doors as wall."""
    thing, wood = Thing("wall", 0.95, 0.06, 2.05), timber(dice)
    if dice.chance(0.5):
        wood = material(dice, "plain", shade(dice, PAINTS[:2]), gloss=0.2)
    thing.box((0, -0.01, 0), (0.84, 0.03, 2.0), wood)
    for side in (-1, 1):
        thing.box((side * 0.445, 0, 0), (0.06, 0.05, 2.05), wood)
    thing.box((0, 0, 2.0), (0.95, 0.056, 0.06), wood)
    for z in (0.15, 1.1):
        thing.box((0, 0.0, z), (0.58, 0.025, 0.75), wood)
    thing.ball((0.34, 0.03, 1.0), (0.06, 0.06, 0.06), material(dice, "plain", (0.7, 0.6, 0.35), gloss=0.8))
    return thing


def picture(dice: Dice, width: float, height: float) -> Thing:
    """A framed picture."""
    thing = Thing("picture", width, 0.04, height)
    frame = material(dice, "wood", shade(dice, WOODS), gloss=0.3)
    if dice.chance(0.4):
        frame = material(
            dice, "plain", dice.pick(((0.1, 0.1, 0.1), (0.9, 0.9, 0.88), (0.7, 0.6, 0.3))), gloss=0.3
        )
    canvas = material(dice, "painting", shade(dice, ACCENTS), shade(dice, ACCENTS))
    mat = dice.uniform(0.06, 0.16)
    thing.box((0, -0.005, 0), (width, 0.03, height), frame)
    edge = dice.uniform(0.025, 0.05)
    paper = material(dice, "plain", (0.94, 0.93, 0.9))
    thing.box((0, 0.0, edge), (width - 2 * edge, 0.025, height - 2 * edge), paper)
    inner = edge + (mat * min(width, height) if dice.chance(0.5) else 0.005)
    thing.box((0, 0.002, inner), (width - 2 * inner, 0.025, height - 2 * inner), canvas)
    return thing


def ceiling_lamp(dice: Dice) -> Thing:
    """A lamp under the ceiling; its frame's z = 0 is its lowest point."""
    thing = Thing("objects", 0.4, 0.4, 0.3)
    white = material(dice, "plain", (1.0, 0.97, 0.9), glow=1.2)
    if dice.chance(0.5):
        thing.ball((0, 0, 0), (0.42, 0.42, 0.2), white, casts=False)
        thing.height = 0.1
    else:
        cord = material(dice, "plain", (0.2, 0.2, 0.2))
        thing.ball((0, 0, 0), (0.34, 0.34, 0.3), white, casts=False)
        thing.cylinder((0, 0, 0.28), (0.02, 0.02, 0.3), cord, casts=False)
        thing.height = 0.55
    return thing


def rug(dice: Dice, width: float, depth: float) -> Thing:
    """A rug, part of the floor."""
    thing = Thing("floor", width, depth, 0.012)
    kind = dice.pick(("carpet", "stripes", "tiles", "plaid", "dots"))
    colours = CARPETS + FABRICS
    first = material(dice, kind, shade(dice, colours), shade(dice, colours), scale=dice.uniform(0.15, 0.4))
    if dice.chance(0.25):
        thing.cylinder((0, 0, 0), (width, width, 0.012), first, casts=False)
        return thing
    thing.box((0, 0, 0), (width, depth, 0.01), material(dice, "carpet", shade(dice, colours)), casts=False)
    thing.box((0, 0, 0.002), (width - 0.2, depth - 0.2, 0.01), first, casts=False)
    return thing
