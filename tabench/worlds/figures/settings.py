"""What the figures show: people and things at home, at table, in the street and in the garden."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from tabench.worlds.bodies import sample_body, sit
from tabench.worlds.camera import Camera
from tabench.worlds.dice import Dice, scene_key
from tabench.worlds.floor import Floor, strew
from tabench.worlds.people import pedestrian, person
from tabench.worlds.prefabs import build
from tabench.worlds.scenes.programmes import pictures
from tabench.worlds.scenes.rooms import bare_room
from tabench.worlds.streets.frontage import house, sky
from tabench.worlds.surfaces import material
from tabench.worlds.things import Scene, Thing
from tabench.worlds.weather import sample_weather

_PLAIN = 120.0  # metres to which the land reaches
_EYE = (_PLAIN / 2, 3.0)
_SHUFFLE = 12
# Height of a seat as a share of the thing's, and how far before its middle one sits on it.
_SEATS = {"chair": (0.52, -0.07), "sofa": (0.51, 0.03), "armchair": (0.51, 0.03)}


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


def _others(floor: Floor, things: tuple[tuple[str, float, float, float], ...]) -> None:
    """Prefabs (name, chance, nearest and furthest distance) in view; "person" is somebody."""
    for name, share, near, far in things:
        if floor.dice.chance(share):
            thing = pedestrian(floor.dice) if name == "person" else build(floor.dice, name)
            floor.place(thing, near, far)


def indoors(dice: Dice, subject: str) -> Floor:
    """A room around a subject, with more people, seats and plants here and there."""
    size = np.array([dice.uniform(4.2, 7.0), dice.uniform(4.5, 7.0), dice.uniform(2.45, 2.9)])
    eye = np.array([size[0] * dice.uniform(0.3, 0.7), dice.uniform(0.3, 0.6), dice.uniform(1.0, 1.65)])
    camera = Camera.looking(eye, np.pi / 2 + dice.uniform(-0.35, 0.35), 0.0, 0.0)
    floor = bare_room(dice, size, camera, scatter=dice.uniform(0.25, 0.42))
    fill, turn = dice.uniform(0.6, 1.0), dice.uniform(-0.6, 0.6)
    if subject == "sofa":
        thing = seat(dice, "sofa", dice.pick((0, 1, 1, 2)))
    elif subject == "dining":
        thing = laid_table(dice, dice.pick((0, 1, 2, 2, 3)))
    elif subject == "people":
        fill *= 1.3
        thing = pedestrian(dice) if dice.chance(0.6) else seat(dice, dice.pick(("chair", "armchair")), 1)
    else:
        fill, turn = 0.7 * fill, dice.uniform(-2.5, 2.5)
        thing = build(dice, subject)
    floor.focus(thing, fill, turn)
    if dice.chance(0.25):
        floor.place(seat(dice, "chair", 1), 1.6, 4.5)
    crowd = 0.6 if subject == "people" else 0.3
    _others(floor, (("person", crowd, 1.6, 4.5), ("chair", 0.4, 1.6, 5.0), ("plant", 0.5, 1.6, 5.0)))
    _others(floor, (("dog", 0.2, 1.6, 5.0),))
    for _ in range(dice.integer(0, 2)):
        floor.along_wall(build(dice, dice.pick(("bookshelf", "chest", "wardrobe", "sideboard"))))
    pictures(floor, dice.integer(0, 3))
    return floor


def outdoors(dice: Dice, subject: str, ground: str) -> Floor:
    """A street or a garden before houses, with passers-by, cars, dogs and trees."""
    camera = Camera.looking(
        np.array([*_EYE, dice.uniform(0.9, 1.7)]), np.pi / 2 + dice.uniform(-0.15, 0.15), 0.0, 0.0
    )
    scene = Scene(np.array([_PLAIN, _PLAIN, 60.0]), camera, weather=sample_weather(dice))
    scene.put(sky(_PLAIN + 80.0))
    street = ground == "road"
    land, cover = Thing(ground, 1, 1, 0), material(dice, "asphalt" if street else "lawn", scale=0.1)
    land.box((_PLAIN / 2, 100.0, -0.5), (8 * _PLAIN, 240.0, 0.5), cover, casts=False)
    scene.put(land)
    floor, sideways = Floor(dice, scene), dice.pick((-1.0, 1.0)) * dice.uniform(0.5, 2.5)
    if subject == "person":
        floor.focus(pedestrian(dice), dice.uniform(0.6, 1.2), dice.uniform(-1.0, 1.0))
    elif subject == "dining":
        floor.focus(laid_table(dice, dice.integer(1, 3)), dice.uniform(0.6, 0.95), dice.uniform(-0.5, 0.5))
    else:
        floor.focus(build(dice, subject), dice.uniform(0.45, 0.9), sideways)
    _others(floor, (("person", 0.5, 2.2, 7.0), ("person", 0.4, 2.2, 7.0)))
    if street:
        _others(floor, (("car", 0.8, 7.0, 16.0), ("car", 0.4, 9.0, 20.0), ("dog", 0.15, 2.2, 7.0)))
    else:
        _others(floor, (("plant", 0.5, 2.0, 7.0), ("dog", 0.4, 2.2, 7.0), ("bush", 0.6, 7.0, 14.0)))
    _others(floor, (("tree", 0.5, 10.0, 16.0), ("tree", 0.5, 10.0, 16.0), ("conifer", 0.3, 10.0, 16.0)))
    far = _EYE[1] + dice.uniform(18.0, 32.0)
    if street:
        walk = Thing("sidewalk", _PLAIN, 5.0, 0.15)
        walk.box((_PLAIN / 2, far - 2.5, 0), (300.0, 5.0, 0.15), material(dice, "pavement"), casts=False)
        scene.put(walk)
    elif dice.chance(0.6):
        edge = build(dice, dice.pick(("hedge", "fence", "wall")), depth=8.0)
        for k in range(-6, 7):
            scene.put(edge, _PLAIN / 2 + 8.0 * k, far - 1.5, 0.0, np.pi / 2)
    x = 0.0
    while x < _PLAIN:  # houses side by side across the view
        width, storeys = dice.uniform(8.0, 16.0), dice.integer(1, 4)
        home = house(dice, width, storeys) if dice.chance(0.6) else build(dice, "villa", width=width)
        scene.put(home, x + width / 2, far + home.depth / 2 + dice.uniform(0.0, 1.5), 0.0, np.pi)
        x += width + dice.pick((0.0, 0.5, 3.0, 9.0))
    return floor


DECK: tuple[Callable[[Dice], Floor], ...] = (
    *(partial(indoors, subject=name) for name in ("sofa", "sofa", "dining", "people", "people", "people")),
    *(partial(indoors, subject=name) for name in ("plant", "chair", "dog")),
    *(partial(outdoors, subject=name, ground="road") for name in ("car", "car", "person", "person")),
    *(partial(outdoors, subject=name, ground="grass") for name in ("dog", "dining", "person")),
)


def dealt(seed: int, split: str, index: int) -> Callable[[Dice], Floor]:
    """The setting of an image: every run of len(DECK) images has each once, in an order of its own."""
    key, position = scene_key(split, index)
    run, place = divmod(position, len(DECK))
    order = np.argsort(Dice(seed, key, run, _SHUFFLE).uniforms(len(DECK)), kind="stable")
    return DECK[int(order[place])]
