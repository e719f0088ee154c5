"""What each kind of room is furnished with."""

from __future__ import annotations

import numpy as np

from tabench.worlds.dice import Dice
from tabench.worlds.placing import Furnisher, strew
from tabench.worlds.prefabs import build
from tabench.worlds.things import Thing, Top

# A word is a prefab that stands along a wall, or one of the groups below, with its probability if not 1.
PROGRAMMES = (
    "bed wardrobe.7 chest.5 desk.45 bookshelf.35 chair.35 rug.4",
    "bed wardrobe.6 chest.6 desk.3 bookshelf.45 armchair.35 rug.5",
    "sofa media.75 bookshelf.6 armchair.5 armchair.3 chair.4 floorlamp.4 sideboard.4 rug.6",
    "sofa media.75 bookshelf.5 armchair.6 chair.3 floorlamp.5 chest.4 rug.6",
    "dining sideboard.7 bookshelf.5 media.3 sofa.25 rug.3",
    "desk desk.35 bookshelf.85 bookshelf.4 filing.5 sofa.4 bed.25 rug.3",
    "kitchen dining chest.4 media.2",
    "bed sofa.9 media.6 desk.6 bookshelf.5 chair.5 rug.5",
)
SMALL = "bookpile bookpile vase parcel globe bottle cup tablelamp tablelamp"


def furnish(f: Furnisher) -> None:
    """Fill a room by one of the programmes, then hang pictures and strew the floor."""
    dice = f.dice
    for word in dice.pick(PROGRAMMES).split():
        name, dot, share = word.partition(".")
        if dice.chance(float(dot + share) if dot else 1.0):
            _GROUPS.get(name, _along)(f, name)
    pictures(f, dice.integer(0, 4))
    for small, chance in (("plant", 0.35), ("basket", 0.5), ("bookpile", 0.15)):
        if dice.chance(chance):
            f.free(build(dice, small))


def pictures(f: Furnisher, count: int) -> None:
    """Hang pictures at the height of the eyes."""
    for _ in range(count):
        wide, tall = f.dice.uniform(0.3, 0.9), f.dice.uniform(0.3, 0.7)
        f.on_wall(build(f.dice, "picture", width=wide, height=tall), f.dice.uniform(1.25, 1.6))


def _along(f: Furnisher, name: str) -> None:
    thing = build(f.dice, name)
    strew(f.dice, thing, SMALL, 3)
    if f.along_wall(thing) is None and name in ("armchair", "floorlamp"):
        f.free(thing)


def _bed(f: Furnisher, name: str) -> None:
    dice = f.dice
    bed = build(dice, name, width=dice.pick((0.95, 1.4, 1.6, 1.8)))
    strew(f.dice, bed, "bookpile basket parcel", 1)
    place = f.along_wall(bed)
    for _ in range(dice.integer(0, 2) if place is not None else 0):
        stand = build(dice, "nightstand")
        strew(f.dice, stand, SMALL, 2)
        f.beside(stand, place or (0, 0.0), bed.width)


def _sofa(f: Furnisher, name: str) -> None:
    dice = f.dice
    sofa = build(dice, dice.pick(("sofa", "sofa", "sofa3")))
    place = f.along_wall(sofa)
    if place is not None and dice.chance(0.75):
        low = build(dice, "lowtable")
        strew(f.dice, low, SMALL, 3)
        f.before(low, place, sofa.depth + 0.8)


def media(dice: Dice) -> Thing:
    """A television on a low cabinet."""
    stand, screen = build(dice, "lowboard"), build(dice, "television", width=dice.uniform(0.75, 1.25))
    stand.include(screen, 0, 0, stand.height, 0.0, "tv")
    stand.height += screen.height
    return stand


def _media(f: Furnisher, name: str) -> None:
    if f.dice.chance(0.3):
        f.on_wall(build(f.dice, "walltv"), f.dice.uniform(1.0, 1.3))
    else:
        f.along_wall(media(f.dice))


def _desk(f: Furnisher, name: str) -> None:
    dice = f.dice
    desk = build(dice, name)
    if dice.chance(0.65):
        yaw = dice.uniform(-0.2, 0.2)
        desk.include(build(dice, "monitor"), -0.1, -desk.depth / 2 + 0.2, desk.height, yaw, "screen")
        desk.tops = [Top(0.4, 0, desk.height, 0.35, desk.depth * 0.7)]
    strew(f.dice, desk, SMALL, 4)
    place = f.along_wall(desk)
    if place is not None:
        seat = build(dice, dice.pick(("officechair", "officechair", "chair")))
        f.before(seat, place, desk.depth + dice.uniform(0.35, 0.55), np.pi + dice.uniform(-0.5, 0.5))


def _kitchen(f: Furnisher, name: str) -> None:
    dice = f.dice
    run = build(dice, name, width=min(dice.uniform(1.8, 3.0), 0.8 * min(f.plan.width, f.plan.depth)))
    strew(f.dice, run, "vase parcel bottle cup globe", 6)
    place = f.along_wall(run)
    if place is not None:
        f.beside(build(dice, "fridge"), place, run.width)


def _dining(f: Furnisher, name: str) -> None:
    dice = f.dice
    table = build(dice, dice.pick(("table", "table", "roundtable")))
    strew(f.dice, table, SMALL, 4)
    spot = f.free(table)
    if spot is None:
        return
    c, s = np.cos(spot.yaw), np.sin(spot.yaw)
    pattern = dice.integer(0, 2**31)
    for k, (u, v) in enumerate(((0, 1), (0, -1), (1, 0), (-1, 0))):
        if dice.chance(0.85 if k < 2 else 0.6):
            out = dice.uniform(0.28, 0.43)
            du, dv = u * (table.width / 2 + out), v * (table.depth / 2 + out)
            yaw = spot.yaw + np.arctan2(-v, -u) - np.pi / 2 + dice.uniform(-0.2, 0.2)
            chair = build(Dice(pattern), "chair")  # chairs of a table are alike
            f.at(chair, spot.x + c * du - s * dv, spot.y + s * du + c * dv, float(yaw))


def _chair(f: Furnisher, name: str) -> None:
    f.free(build(f.dice, name))


def _rug(f: Furnisher, name: str) -> None:
    """Rugs lie under furniture, so they take no room on the plan."""
    x, y = (side * f.dice.uniform(0.4, 0.6) for side in (f.plan.width, f.plan.depth))
    f.scene.put(build(f.dice, name), x, y, 0.0, f.dice.pick((0.0, np.pi / 2)))


_GROUPS = {
    "bed": _bed,
    "sofa": _sofa,
    "media": _media,
    "desk": _desk,
    "kitchen": _kitchen,
    "dining": _dining,
    "chair": _chair,
    "rug": _rug,
}
