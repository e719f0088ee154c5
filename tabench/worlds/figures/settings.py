"""What the figures show: people and things at home, at table, at work, in the street and in the garden."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from tabench.worlds.bodies import sample_body, sit
from tabench.worlds.camera import Camera
from tabench.worlds.dice import Dice, scene_key
from tabench.worlds.figures.stage import Stage
from tabench.worlds.floorplan import FloorPlan
from tabench.worlds.people import person
from tabench.worlds.placing import strew
from tabench.worlds.prefabs import build
from tabench.worlds.scenes.programmes import media, pictures
from tabench.worlds.scenes.rooms import bare_room, ceiling_lamp
from tabench.worlds.streets.frontage import house, sky
from tabench.worlds.streets.traffic import cyclist, pedestrian
from tabench.worlds.surfaces import material
from tabench.worlds.things import Scene, Thing
from tabench.worlds.weather import sample_weather

_PLAIN = 120.0  # metres to which the land reaches
_EYE = (_PLAIN / 2, 3.0)
_SHUFFLE = 12
# Height of a seat as a share of the thing's, and how far before its middle one sits on it.
_SEATS = {
    "chair": (0.52, -0.07),
    "officechair": (0.52, -0.07),
    "sofa": (0.51, 0.03),
    "armchair": (0.51, 0.03),
}


def seat(dice: Dice, name: str, people: int, table: float | None = None) -> Thing:
    """A seat with people on it; a sofa has room for two."""
    thing = build(dice, name)
    share, y = _SEATS[name]
    places = [0.0] if name != "sofa" else [-0.195 * thing.width, 0.195 * thing.width]
    for k in range(people):
        body = sample_body(dice)
        sitter = person(dice, body, sit(dice, body, share * thing.height, table))
        x = places.pop(dice.integer(0, len(places) - 1))
        thing.include(sitter, x, y, 0.0, dice.uniform(-0.12, 0.12), f"sitter{k}")
        thing.depth = max(thing.depth, 2 * (y + 0.36 * body.stature))
    if people:
        thing.pieces = [piece for piece in thing.pieces if piece.label != "pillow"]
        thing.height += 0.45
    return thing


def laid_table(dice: Dice, people: int) -> Thing:
    """A table with chairs around it, some of them taken."""
    table = build(dice, "table", width=dice.uniform(1.1, 1.6))
    strew(dice, table, "cup cup bottle bottle vase plant", 5)
    thing = Thing("table", table.width + 0.7, table.depth + 1.3, table.height)
    thing.include(table, 0, 0, 0, 0, "table")
    pattern, left = dice.integer(0, 2**31), people
    for k, (x, v) in enumerate(((-1, 1), (1, 1), (-1, -1), (1, -1))):
        taken = left > 0 and (v < 0 or dice.chance(0.5))
        if not taken and dice.chance(0.35):
            continue
        left -= int(taken)
        # empty chairs of a table are alike
        chair = seat(Dice(pattern, k) if taken else Dice(pattern), "chair", int(taken), table.height)
        out = table.depth / 2 + (0.2 if taken else dice.uniform(0.08, 0.3))
        yaw = (np.pi if v > 0 else 0.0) + dice.uniform(-0.15, 0.15)
        thing.include(chair, 0.24 * x * table.width, v * out, 0.0, yaw, f"seat{k}")
        thing.height = max(thing.height, chair.height)
    return thing


def _room(dice: Dice) -> Stage:
    """A room with windows and a lamp, and a camera near one of its walls."""
    width, depth, height = dice.uniform(4.2, 7.0), dice.uniform(4.5, 7.0), dice.uniform(2.45, 2.9)
    x, y, yaw = width * dice.uniform(0.3, 0.7), dice.uniform(0.3, 0.6), np.pi / 2 + dice.uniform(-0.35, 0.35)
    camera = Camera.looking(np.array([x, y, dice.uniform(1.0, 1.65)]), float(yaw), 0.0, 0.0)
    plan = FloorPlan(width, depth, (x, y), (float(np.cos(yaw)), float(np.sin(yaw))))
    furnisher = bare_room(dice, camera, plan, height, scatter=dice.uniform(0.25, 0.42))
    ceiling_lamp(furnisher)
    return Stage(dice, furnisher.scene, plan)


def indoors(dice: Dice, subject: str) -> Stage:
    """A room around a subject, with more people, seats, plants and a television here and there."""
    stage, fill, turn = _room(dice), dice.uniform(0.6, 1.0), dice.uniform(-0.6, 0.6)
    if subject == "sofa":
        thing = seat(dice, "sofa", dice.pick((0, 1, 1, 2)))
    elif subject == "dining":
        thing = laid_table(dice, dice.pick((0, 1, 2, 2, 3)))
    elif subject == "desk":
        thing, turn = _desk(dice), dice.pick((-1, 1)) * dice.uniform(0.7, 1.6)
    elif subject == "people":
        fill = dice.uniform(0.75, 1.35)
        thing = pedestrian(dice) if dice.chance(0.6) else seat(dice, dice.pick(("chair", "armchair")), 1)
    elif subject == "media":
        thing = media(dice)
    else:
        fill, turn = dice.uniform(0.4, 0.8), dice.uniform(-2.5, 2.5)
        thing = build(dice, subject)
    stage.focus(thing, fill, turn)
    for _ in range(dice.integer(0, 2) if subject == "people" else dice.integer(0, 1)):
        other = pedestrian(dice) if dice.chance(0.7) else seat(dice, "chair", 1)
        stage.place(other, 1.6, 4.5, turn=dice.uniform(-1.2, 1.2))
    for make, share in (
        (partial(seat, dice, "chair", 0), 0.4),
        (partial(build, dice, "plant"), 0.5),
        (partial(media, dice), 0.35),
        (partial(build, dice, "dog"), 0.2),
    ):
        if dice.chance(share):
            stage.place(make(), 1.6, 5.0)
    furnisher = stage.furnisher
    for _ in range(dice.integer(0, 2)):
        furnisher.along_wall(build(dice, dice.pick(("bookshelf", "chest", "wardrobe", "sideboard"))))
    pictures(furnisher, dice.integer(0, 3))
    return stage


def _desk(dice: Dice) -> Thing:
    """A desk with a screen, and mostly someone before it."""
    desk, thing = build(dice, "desk"), Thing("table", 1.6, 1.7, 1.25)
    thing.include(desk, 0, -0.35, 0, 0, "desk")
    screen = build(dice, dice.pick(("monitor", "television")), width=dice.uniform(0.5, 0.75))
    thing.include(screen, dice.uniform(-0.3, 0.1), -0.45, desk.height, dice.uniform(-0.3, 0.3), "screen")
    chair = seat(dice, "officechair", int(dice.chance(0.75)), desk.height)
    thing.include(chair, dice.uniform(-0.3, 0.0), 0.42, 0.0, np.pi + dice.uniform(-0.3, 0.3), "seat")
    return thing


def outdoors(dice: Dice, subject: str, ground: str) -> Stage:
    """A street or a garden before houses, with passers-by, cars, bicycles, dogs and trees."""
    yaw = np.pi / 2 + dice.uniform(-0.15, 0.15)
    camera = Camera.looking(np.array([*_EYE, dice.uniform(0.9, 1.7)]), float(yaw), 0.0, 0.0)
    plan = FloorPlan(_PLAIN, _PLAIN, _EYE, (float(np.cos(yaw)), float(np.sin(yaw))))
    scene = Scene(np.array([_PLAIN, _PLAIN, 60.0]), camera, weather=sample_weather(dice))
    scene.put(sky(_PLAIN + 80.0))
    land, skin = Thing(ground, _PLAIN, _PLAIN, 0.0), "asphalt" if ground == "road" else "lawn"
    cover = material(dice, skin, scale=0.1)
    land.box((_PLAIN / 2, 100.0, -0.5), (8 * _PLAIN, 240.0, 0.5), cover, casts=False)
    scene.put(land)
    stage, sideways = Stage(dice, scene, plan), dice.pick((-1.0, 1.0)) * dice.uniform(0.5, 2.5)
    if subject == "person":
        stage.focus(pedestrian(dice), dice.uniform(0.6, 1.2), dice.uniform(-1.0, 1.0))
    elif subject == "cyclist":
        stage.focus(cyclist(dice) if dice.chance(0.7) else build(dice, "bicycle"), 0.8, sideways)
    elif subject == "dining":
        stage.focus(laid_table(dice, dice.integer(1, 3)), dice.uniform(0.6, 0.95), dice.uniform(-0.5, 0.5))
    else:
        stage.focus(build(dice, subject), dice.uniform(0.45, 0.9), sideways)
    for _ in range(dice.integer(0, 2)):
        stage.place(pedestrian(dice), 2.2, 7.0)
    street = ground == "road"
    for name, share, near, far in (
        ("car", 0.8 if street else 0.1, 7.0, 16.0),
        ("car", 0.4 if street else 0.0, 9.0, 20.0),
        ("bicycle", 0.3, 3.5, 8.0),
        ("dog", 0.15 if street else 0.4, 2.2, 7.0),
        ("plant", 0.0 if street else 0.5, 2.0, 7.0),
        ("bush", 0.1 if street else 0.6, 7.0, 14.0),
        ("tree", 0.5, 10.0, 16.0),
        ("tree", 0.5, 10.0, 16.0),
        ("conifer", 0.3, 10.0, 16.0),
    ):
        if dice.chance(share):
            stage.place(build(dice, name), near, far)
    far = dice.uniform(18.0, 32.0)
    if street:
        walk = Thing("sidewalk", _PLAIN, 5.0, 0.15)
        walk.box((0, 0, 0), (300.0, 5.0, 0.15), material(dice, "pavement"), casts=False)
        scene.put(walk, _PLAIN / 2, _EYE[1] + far - 2.5)
    elif dice.chance(0.6):
        edge = build(dice, dice.pick(("hedge", "fence", "wall")), depth=8.0)
        for k in range(-6, 7):
            scene.put(edge, _PLAIN / 2 + 8.0 * k, _EYE[1] + far - 1.5, 0.0, np.pi / 2)
    _houses(dice, scene, _EYE[1] + far)
    return stage


def _houses(dice: Dice, scene: Scene, y: float) -> None:
    """Buildings side by side across the view."""
    x = _PLAIN / 2 - 60.0
    while x < _PLAIN / 2 + 60.0:
        width = dice.uniform(8.0, 16.0)
        flat, storeys = dice.chance(0.6), dice.integer(1, 4)
        home = house(dice, width, storeys) if flat else build(dice, "villa", width=width)
        if dice.chance(0.85):
            scene.put(home, x + width / 2, y + home.depth / 2 + dice.uniform(0.0, 1.5), 0.0, np.pi)
        x += width + dice.pick((0.0, 0.5, 3.0))


DECK: tuple[Callable[[Dice], Stage], ...] = (
    *(partial(indoors, subject=name) for name in ("sofa", "sofa", "dining", "desk", "people", "people")),
    *(partial(indoors, subject=name) for name in ("media", "plant", "chair", "dog")),
    *(partial(outdoors, subject=name, ground="road") for name in ("car", "cyclist", "cyclist", "person")),
    *(partial(outdoors, subject=name, ground="grass") for name in ("dog", "dining", "person")),
)


def dealt(seed: int, split: str, index: int) -> Callable[[Dice], Stage]:
    """The setting of an image: every run of len(DECK) images has each once, in an order of its own."""
    key, position = scene_key(split, index)
    run, place = divmod(position, len(DECK))
    order = np.argsort(Dice(seed, key, run, _SHUFFLE).uniforms(len(DECK)), kind="stable")
    return DECK[int(order[place])]
