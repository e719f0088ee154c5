"""What each kind of room is furnished with."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tabench.worlds.scenes import clutter, fixtures, seating, storage
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.layout import Furnisher
from tabench.worlds.scenes.thing import Thing, Top


def _small(dice: Dice, *, screens: bool = False) -> list[Callable[[], Thing]]:
    makers: list[Callable[[], Thing]] = [
        lambda: clutter.book_pile(dice),
        lambda: clutter.book_pile(dice),
        lambda: clutter.knick_knack(dice, 0.4),
        lambda: clutter.knick_knack(dice, 0.4),
        lambda: clutter.table_lamp(dice),
        lambda: clutter.plant(dice, 0.45),
    ]
    if screens:
        makers += [lambda: clutter.monitor(dice)] * 2
    return makers


def bedroom(f: Furnisher) -> None:
    """A bed with night stands, wardrobe, chest, perhaps a desk."""
    dice = f.dice
    bed = seating.bed(dice)
    f.strew(bed, [lambda: clutter.book_pile(dice), lambda: clutter.basket(dice)], 1)
    place = f.along_wall(bed)
    if place is not None:
        for _ in range(dice.integer(0, 2)):
            stand = storage.cabinet(dice, 0.48, 0.42, dice.uniform(0.45, 0.6), 1, 2)
            f.strew(stand, _small(dice), 2)
            f.beside(stand, place, bed.width)
    _maybe(f, 0.7, lambda: storage.cabinet(dice, dice.uniform(1.0, 1.8), 0.6, dice.uniform(1.9, 2.2), 3, 1))
    _maybe(f, 0.5, lambda: storage.cabinet(dice, dice.uniform(0.8, 1.3), 0.48, dice.uniform(0.75, 1.1), 1, 4))
    _desk(f, 0.45)
    _maybe(f, 0.35, lambda: storage.bookshelf(dice))
    _seat(f, 0.35)
    _rug(f, 0.4)


def living(f: Furnisher) -> None:
    """A sofa group with a low table, media and shelves."""
    dice = f.dice
    sofa = seating.sofa(dice, dice.integer(2, 3))
    place = f.along_wall(sofa)
    if place is not None and dice.chance(0.75):
        x, y = f.walls[place[0]].at(place[1], sofa.depth + 0.8)
        low = seating.table(dice, dice.uniform(0.9, 1.2), dice.uniform(0.5, 0.6), dice.uniform(0.38, 0.46))
        f.strew(low, _small(dice), 3)
        f.at(low, x, y, f.walls[place[0]].yaw)
    _media(f, 0.75)
    _maybe(f, 0.6, lambda: storage.bookshelf(dice))
    for _ in range(dice.integer(0, 2)):
        armchair = seating.sofa(dice, 1)
        if f.along_wall(armchair) is None:
            f.free(armchair)
    _seat(f, 0.4)
    _maybe(f, 0.4, lambda: clutter.floor_lamp(dice))
    _maybe(f, 0.4, lambda: storage.cabinet(dice, dice.uniform(0.8, 1.4), 0.42, dice.uniform(0.7, 0.95), 2, 1))
    _rug(f, 0.6)


def dining(f: Furnisher) -> None:
    """A table with chairs and a sideboard."""
    _table_with_chairs(f)
    dice = f.dice
    _maybe(f, 0.7, lambda: storage.cabinet(dice, dice.uniform(1.0, 1.7), 0.45, dice.uniform(0.8, 1.0), 3, 1))
    _maybe(f, 0.5, lambda: storage.bookshelf(dice))
    _media(f, 0.3)
    _maybe(f, 0.25, lambda: seating.sofa(dice, 2))
    _rug(f, 0.3)


def office(f: Furnisher) -> None:
    """Desks, shelves, a filing cabinet."""
    dice = f.dice
    _desk(f, 1.0)
    _desk(f, 0.35)
    _maybe(f, 0.85, lambda: storage.bookshelf(dice))
    _maybe(f, 0.4, lambda: storage.bookshelf(dice))
    _maybe(f, 0.5, lambda: storage.cabinet(dice, 0.45, 0.6, dice.uniform(1.0, 1.35), 1, 4))
    _maybe(f, 0.4, lambda: seating.sofa(dice, dice.integer(1, 2)))
    _maybe(f, 0.25, lambda: seating.bed(dice))
    _rug(f, 0.3)


def kitchen(f: Furnisher) -> None:
    """A run of cabinets with a fridge, and a table."""
    dice = f.dice
    run = storage.kitchen_run(dice, min(dice.uniform(1.8, 3.0), 0.8 * min(f.plan.width, f.plan.depth)))
    f.strew(run, _small(dice)[2:4], 5)
    place = f.along_wall(run)
    if place is not None:
        f.beside(storage.fridge(dice), place, run.width)
    _table_with_chairs(f)
    _maybe(f, 0.4, lambda: storage.cabinet(dice, dice.uniform(0.8, 1.2), 0.45, dice.uniform(0.8, 1.8), 2, 1))
    _media(f, 0.2)


def studio(f: Furnisher) -> None:
    """A bed and a sofa in one room."""
    dice = f.dice
    _maybe(f, 1.0, lambda: seating.bed(dice))
    _maybe(f, 0.9, lambda: seating.sofa(dice, 2))
    _media(f, 0.6)
    _desk(f, 0.6)
    _maybe(f, 0.5, lambda: storage.bookshelf(dice))
    _seat(f, 0.5)
    _rug(f, 0.5)


def _maybe(f: Furnisher, probability: float, maker: Callable[[], Thing]) -> None:
    if f.dice.chance(probability):
        thing = maker()
        if thing.label == "furniture" and thing.height < 1.6:
            f.strew(thing, _small(f.dice), f.dice.integer(0, 3))
        f.along_wall(thing)


def _seat(f: Furnisher, probability: float) -> None:
    if f.dice.chance(probability):
        f.free(seating.chair(f.dice))


def _media(f: Furnisher, probability: float) -> None:
    """A low cabinet with a television, or one on the wall."""
    dice = f.dice
    if not dice.chance(probability):
        return
    width = dice.uniform(0.75, 1.25)
    if dice.chance(0.3):
        f.on_wall(clutter.television(dice, width, stand=False), dice.uniform(1.0, 1.3))
        return
    stand = storage.cabinet(dice, width + dice.uniform(0.15, 0.5), 0.45, dice.uniform(0.42, 0.6), 2, 1)
    stand.include(clutter.television(dice, width, stand=True), 0, 0.0, stand.height, 0.0, "tv")
    stand.height += width * 0.6
    f.along_wall(stand)


def _desk(f: Furnisher, probability: float) -> None:
    dice = f.dice
    if not dice.chance(probability):
        return
    desk = seating.desk(dice)
    if dice.chance(0.65):
        desk.include(
            clutter.monitor(dice), 0.0, -desk.depth / 2 + 0.2, desk.height, dice.uniform(-0.2, 0.2), "screen"
        )
        desk.tops = [Top(0.405, 0, desk.height, 0.25, desk.depth * 0.7)]
    f.strew(desk, _small(dice, screens=False), dice.integer(1, 4))
    place = f.along_wall(desk)
    if place is not None:
        wall = f.walls[place[0]]
        chair = seating.office_chair(dice) if dice.chance(0.6) else seating.chair(dice)
        x, y = wall.at(place[1], desk.depth + dice.uniform(0.35, 0.55))
        f.at(chair, x, y, wall.yaw + np.pi + dice.uniform(-0.5, 0.5))


def _table_with_chairs(f: Furnisher) -> None:
    dice = f.dice
    width = dice.uniform(0.9, 1.6)
    depth = width if width < 1.15 and dice.chance(0.6) else dice.uniform(0.75, 0.9)
    table = seating.table(dice, width, depth, dice.uniform(0.72, 0.76))
    f.strew(table, _small(dice), dice.integer(0, 4))
    spot = f.free(table)
    if spot is None:
        return
    c, s = np.cos(spot.yaw), np.sin(spot.yaw)
    pattern = dice.integer(0, 2**31)
    for k, (u, v) in enumerate(((0, 1), (0, -1), (1, 0), (-1, 0))):
        chair = seating.chair(Dice(pattern))
        if not dice.chance(0.85 if k < 2 else 0.6):
            continue
        out = dice.uniform(0.2, 0.35)
        du, dv = u * (width / 2 + out + 0.08), v * (depth / 2 + out + 0.08)
        yaw = spot.yaw + np.arctan2(-v, -u) - np.pi / 2 + dice.uniform(-0.2, 0.2)
        f.at(chair, spot.x + c * du - s * dv, spot.y + s * du + c * dv, float(yaw))


def _rug(f: Furnisher, probability: float) -> None:
    """Rugs lie under furniture, so they take no room on the plan."""
    dice = f.dice
    if dice.chance(probability):
        wide, deep = dice.uniform(1.4, 2.4), dice.uniform(1.0, 1.7)
        x, y = f.plan.width * dice.uniform(0.4, 0.6), f.plan.depth * dice.uniform(0.4, 0.6)
        turned = dice.chance(0.5)
        f.scene.put(fixtures.rug(dice, wide, deep), x, y, 0.0, np.pi / 2 if turned else 0.0)


PROGRAMMES = (bedroom, bedroom, living, living, dining, office, kitchen, studio)
