"""What each kind of room is furnished with."""

from __future__ import annotations

import numpy as np

from tabench.worlds.dice import Dice
from tabench.worlds.floor import Floor, heading, strew
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


def furnish(f: Floor) -> None:
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


def pictures(f: Floor, count: int) -> None:
    """Hang pictures at the height of the eyes."""
    for _ in range(count):
        wide, tall = f.dice.uniform(0.3, 0.9), f.dice.uniform(0.3, 0.7)
        f.on_wall(build(f.dice, "picture", width=wide, height=tall), f.dice.uniform(1.25, 1.6))


def media(dice: Dice) -> Thing:
    """A television on a low cabinet."""
    stand, screen = build(dice, "lowboard"), build(dice, "television", width=dice.uniform(0.75, 1.25))
    stand.include(screen, 0, 0, stand.height, 0.0, "tv")
    stand.height += screen.height
    return stand


def _along(f: Floor, name: str) -> None:
    thing = build(f.dice, name)
    strew(f.dice, thing, SMALL, 3)
    if f.along_wall(thing) is None and name in ("armchair", "floorlamp"):
        f.free(thing)


def _bed(f: Floor, name: str) -> None:
    bed = build(f.dice, name, width=f.dice.pick((0.95, 1.4, 1.6, 1.8)))
    place = f.along_wall(bed)
    for _ in range(f.dice.integer(0, 2) if place else 0):
        stand = build(f.dice, "nightstand")
        strew(f.dice, stand, SMALL, 2)
        f.beside(stand, place or (0, 0.0), bed.width)


def _sofa(f: Floor, name: str) -> None:
    sofa = build(f.dice, f.dice.pick(("sofa", "sofa", "sofa3")))
    place = f.along_wall(sofa)
    if place and f.dice.chance(0.75):
        low = build(f.dice, "lowtable")
        strew(f.dice, low, SMALL, 3)
        f.before(low, place, sofa.depth + 0.8)


def _media(f: Floor, name: str) -> None:
    f.along_wall(media(f.dice))


def _desk(f: Floor, name: str) -> None:
    dice, desk = f.dice, build(f.dice, name)
    if dice.chance(0.65):
        yaw = dice.uniform(-0.2, 0.2)
        desk.include(build(dice, "monitor"), -0.1, -desk.depth / 2 + 0.2, desk.height, yaw, "screen")
        desk.tops = [Top(0.4, 0, desk.height, 0.35, desk.depth * 0.7)]
    strew(dice, desk, SMALL, 4)
    place = f.along_wall(desk)
    if place:
        seat = build(dice, dice.pick(("officechair", "officechair", "chair")))
        f.before(seat, place, desk.depth + dice.uniform(0.35, 0.55), np.pi + dice.uniform(-0.5, 0.5))


def _kitchen(f: Floor, name: str) -> None:
    run = build(f.dice, name, width=min(f.dice.uniform(1.8, 3.0), 0.8 * float(f.sides.min())))
    strew(f.dice, run, "vase parcel bottle cup globe", 6)
    place = f.along_wall(run)
    if place:
        f.beside(build(f.dice, "fridge"), place, run.width)


def _dining(f: Floor, name: str) -> None:
    dice, table = f.dice, build(f.dice, f.dice.pick(("table", "table", "roundtable")))
    strew(dice, table, SMALL, 4)
    spot, pattern = f.free(table), dice.integer(0, 2**31)
    for k, front in enumerate(((0, 1), (0, -1), (1, 0), (-1, 0))):
        if spot and dice.chance(0.85 if k < 2 else 0.6):
            out = np.array(front) * (np.array([table.width, table.depth]) / 2 + dice.uniform(0.28, 0.43))
            x, y = (out @ heading(spot.yaw) + [spot.x, spot.y]).tolist()
            yaw = spot.yaw + float(np.arctan2(front[0], -front[1])) + dice.uniform(-0.2, 0.2)
            f.at(build(Dice(pattern), "chair"), x, y, yaw)  # chairs of a table are alike


def _chair(f: Floor, name: str) -> None:
    f.free(build(f.dice, name))


def _rug(f: Floor, name: str) -> None:
    """Rugs lie under furniture, so they take no room on the floor."""
    x, y = (side * f.dice.uniform(0.4, 0.6) for side in f.sides.tolist())
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
