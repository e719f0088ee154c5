"""Rooms with people: at home, at table, at work, and close to the camera."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tabench.worlds.figures import household
from tabench.worlds.figures.animals import animal
from tabench.worlds.figures.people import person, sample_body
from tabench.worlds.figures.poses import stand, walk
from tabench.worlds.figures.stage import Stage
from tabench.worlds.scenes import fixtures, seating, storage
from tabench.worlds.scenes.camera import Camera
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.floorplan import FloorPlan
from tabench.worlds.scenes.rooms import ceiling, openings
from tabench.worlds.scenes.scene import Scene
from tabench.worlds.scenes.shell import shell
from tabench.worlds.scenes.thing import Thing, Top


def room(dice: Dice) -> Stage:
    """An empty room with windows, lit, and a camera near one of its walls."""
    width, depth, height = dice.uniform(4.2, 7.0), dice.uniform(4.5, 7.0), dice.uniform(2.45, 2.9)
    x, y, yaw = width * dice.uniform(0.3, 0.7), dice.uniform(0.3, 0.6), np.pi / 2 + dice.uniform(-0.35, 0.35)
    camera = Camera.looking(np.array([x, y, dice.uniform(1.0, 1.65)]), float(yaw), 0.0, 0.0)
    plan = FloorPlan(width, depth, (x, y), (float(np.cos(yaw)), float(np.sin(yaw))))
    scene = Scene(np.array([width, depth, height]), camera, scatter=dice.uniform(0.25, 0.42))
    for part in shell(dice, width, depth, height):
        scene.put(part, 0.0, 0.0, 0.0, 0.0)
    stage = Stage(dice, scene, plan)
    openings(stage.furnisher)
    ceiling(stage.furnisher)
    return stage


def living(dice: Dice) -> Stage:
    """A sofa, often with people and animals, a television, plants."""
    stage = room(dice)
    pet = animal(dice, "cat") if dice.chance(0.35) else None
    stage.focus(
        household.sofa(dice, dice.pick((0, 1, 1, 2)), pet), dice.uniform(0.6, 1.0), dice.uniform(-0.6, 0.6)
    )
    if dice.chance(0.35):
        stage.place(upright(dice), 2.0, 4.5)
    if dice.chance(0.35):
        low = seating.table(dice, dice.uniform(0.8, 1.1), 0.55, 0.42)
        household.lay(dice, low, Top(0, 0, 0.42, 0.6, 0.3), dice.integer(1, 3))
        stage.place(low, 1.5, 3.0, turn=dice.uniform(-0.5, 0.5))
    if dice.chance(0.5):
        _television(stage)
    if dice.chance(0.3):
        stage.place(animal(dice, dice.pick(("cat", "dog"))), 1.4, 3.5)
    _greenery(stage, 0.5)
    _background(stage)
    return stage


def dining(dice: Dice) -> Stage:
    """A laid table with chairs and people around it."""
    stage = room(dice)
    group = household.dining_group(dice, dice.pick((0, 1, 2, 2, 3)))
    stage.focus(group, dice.uniform(0.65, 1.0), dice.uniform(-0.5, 0.5))
    if dice.chance(0.3):
        stage.place(upright(dice), 2.0, 5.0)
    _greenery(stage, 0.4)
    _background(stage)
    return stage


def office(dice: Dice) -> Stage:
    """A desk with a screen, and someone before it."""
    stage = room(dice)
    thing = Thing("table", 1.6, 1.6, 1.2)
    desk = seating.desk(dice)
    thing.include(desk, 0, -0.35, 0, 0, "desk")
    thing.include(
        household.screen(dice, dice.uniform(0.5, 0.75)),
        dice.uniform(-0.3, 0.3),
        -0.5,
        desk.height,
        dice.uniform(-0.3, 0.3),
        "tv",
    )
    household.lay(dice, thing, Top(0, -0.25, desk.height, 0.9 * desk.width, 0.3), dice.integer(1, 3))
    seat = household.chair(dice, occupied=dice.chance(0.75), table=desk.height)
    thing.include(seat, dice.uniform(-0.2, 0.2), 0.42, 0.0, np.pi + dice.uniform(-0.3, 0.3), "seat")
    stage.focus(thing, dice.uniform(0.6, 0.95), dice.pick((-1, 1)) * dice.uniform(0.7, 1.6))
    if dice.chance(0.35):
        stage.place(upright(dice), 1.8, 5.0)
    if dice.chance(0.3):
        stage.place(household.chair(dice, occupied=False), 1.5, 4.0)
    _greenery(stage, 0.5)
    _background(stage)
    return stage


def portrait(dice: Dice) -> Stage:
    """One to three people close to the camera, standing or on chairs."""
    stage = room(dice)
    first = upright(dice) if dice.chance(0.6) else household.chair(dice, occupied=True)
    stage.focus(first, dice.uniform(0.75, 1.35), dice.uniform(-0.8, 0.8))
    for _ in range(dice.integer(0, 2)):
        other = upright(dice) if dice.chance(0.7) else household.chair(dice, occupied=True)
        stage.place(other, 1.6, 4.0, turn=dice.uniform(-1.2, 1.2), aside=0.42)
    if dice.chance(0.3):
        stage.place(household.dining_group(dice, 0), 2.2, 4.5)
    _greenery(stage, 0.4)
    _background(stage)
    return stage


def still(dice: Dice, subject: str) -> Stage:
    """A room without people around a "table", a "pet" or a "seat"."""
    stage = room(dice)
    if subject == "table":
        table = seating.table(dice, dice.uniform(0.7, 1.1), dice.uniform(0.6, 0.8), 0.74)
        household.lay(dice, table, Top(0, 0, 0.74, 0.75 * table.width, 0.3), dice.integer(3, 5))
        table.height = 1.0
        stage.focus(table, dice.uniform(0.75, 1.2), dice.uniform(-0.5, 0.5))
    elif subject == "pet":
        stage.focus(animal(dice, "cat"), dice.uniform(0.3, 0.6), dice.uniform(-2.0, 2.0))
    elif dice.chance(0.4):
        stage.focus(household.potted_plant(dice, dice.uniform(0.8, 1.3)), dice.uniform(0.5, 0.8), 0.0)
    else:
        stage.focus(household.chair(dice, occupied=False), dice.uniform(0.4, 0.7), dice.uniform(-2.5, 2.5))
    for _ in range(dice.integer(1, 2)):
        stage.place(household.chair(dice, occupied=False), 1.6, 4.5)
    if dice.chance(0.5):
        _television(stage)
    if dice.chance(0.4):
        stage.place(household.sofa(dice, 0), 2.5, 5.0, turn=dice.uniform(-0.7, 0.7))
    _greenery(stage, 0.6)
    _background(stage)
    return stage


def upright(dice: Dice) -> Thing:
    """Someone standing or walking."""
    body = sample_body(dice)
    return person(dice, body, stand(dice, body) if dice.chance(0.65) else walk(dice, body))


def _television(stage: Stage) -> None:
    dice = stage.dice
    width = dice.uniform(0.7, 1.2)
    stand_ = storage.cabinet(dice, width + dice.uniform(0.15, 0.5), 0.45, dice.uniform(0.45, 0.65), 2, 1)
    stand_.include(household.screen(dice, width), 0, 0, stand_.height, 0.0, "tv")
    stand_.height += 0.66 * width
    if not stage.place(stand_, 2.2, 4.5, turn=dice.uniform(-0.6, 0.6)):
        stage.furnisher.along_wall(stand_)


def _greenery(stage: Stage, probability: float) -> None:
    if stage.dice.chance(probability):
        stage.place(household.potted_plant(stage.dice, stage.dice.uniform(0.6, 1.3)), 1.8, 5.0)


def _background(stage: Stage) -> None:
    """Cabinets and pictures along the walls."""
    dice, furnisher = stage.dice, stage.furnisher
    makers: tuple[Callable[[], Thing], ...] = (
        lambda: storage.bookshelf(dice),
        lambda: storage.cabinet(dice, dice.uniform(0.8, 1.6), 0.45, dice.uniform(0.8, 1.9), 2, 2),
        lambda: storage.cabinet(dice, dice.uniform(1.0, 1.8), 0.6, dice.uniform(1.9, 2.2), 3, 1),
    )
    for _ in range(dice.integer(0, 2)):
        furnisher.along_wall(dice.pick(makers)())
    for _ in range(dice.integer(0, 3)):
        furnisher.on_wall(
            fixtures.picture(dice, dice.uniform(0.3, 0.9), dice.uniform(0.3, 0.7)), dice.uniform(1.25, 1.6)
        )
