"""What happens outdoors: streets, meadows, shores, stations, airfields, gardens."""

from __future__ import annotations

import numpy as np

from tabench.worlds.figures import household, landscape
from tabench.worlds.figures.animals import animal
from tabench.worlds.figures.birds import bird
from tabench.worlds.figures.cycles import Mount, bicycle, motorbike, mounted
from tabench.worlds.figures.indoors import upright
from tabench.worlds.figures.people import sample_body
from tabench.worlds.figures.solids import block
from tabench.worlds.figures.stage import Stage
from tabench.worlds.figures.vehicles import bus, car, train
from tabench.worlds.figures.vessels import aeroplane, boat
from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.materials import Material, material
from tabench.worlds.scenes.thing import Thing


def _lawn(dice: Dice) -> Material:
    light = dice.pick(((0.40, 0.47, 0.23), (0.48, 0.48, 0.28), (0.33, 0.43, 0.21)))
    return material(dice, "grass", light, (0.15, 0.27, 0.08))


def _asphalt(dice: Dice) -> Material:
    grey = dice.uniform(0.38, 0.52)
    return material(
        dice, "gravel", (grey + 0.08, grey + 0.07, grey + 0.06), (grey - 0.1, grey - 0.1, grey - 0.09)
    )


def _people(stage: Stage, count: int, near: float = 2.2, far: float = 7.0) -> None:
    for _ in range(count):
        stage.place(upright(stage.dice), near, far)


def _sideways(dice: Dice) -> float:
    """An angle that shows a vehicle from the side or half from the front or rear."""
    return dice.pick((-1.0, 1.0)) * dice.uniform(0.5, 2.5)


def street(dice: Dice, subject: str) -> Stage:
    """Traffic before houses: a "car", "bus", "bicycle" or "motorbike", or else passers-by."""
    stage = landscape.outdoors(dice, _asphalt(dice), "road")
    fill = dice.uniform(0.55, 0.95)
    if subject == "car":
        stage.focus(car(dice), fill, _sideways(dice))
    elif subject == "bus":
        stage.focus(bus(dice), fill, dice.pick((-1.0, 1.0)) * dice.uniform(0.3, 1.3))
    elif subject in ("bicycle", "motorbike"):
        mount = bicycle(dice) if subject == "bicycle" else motorbike(dice)
        thing = mounted(dice, mount) if dice.chance(0.7) else mount.thing
        stage.focus(thing, fill, _sideways(dice))
    else:
        stage.focus(upright(dice), dice.uniform(0.6, 1.2), dice.uniform(-1.0, 1.0))
    _people(stage, dice.integer(0, 3))
    for _ in range(dice.integer(0, 2)):
        stage.place(car(dice), 7.0, 20.0, turn=dice.pick((-1.0, 1.0)) * dice.uniform(1.1, 2.0))
    if dice.chance(0.3):
        mount = bicycle(dice) if dice.chance(0.6) else motorbike(dice)
        stage.place(mounted(dice, mount) if dice.chance(0.6) else mount.thing, 3.5, 8.0)
    if dice.chance(0.15):
        stage.place(bus(dice), 14.0, 24.0)
    far = dice.uniform(18.0, 34.0)
    walk = Thing("sidewalk", landscape.WIDTH, 4.0, 0.15)
    block(
        walk,
        (0, 0, 0.07),
        (150.0, 2.5, 0.08),
        material(dice, "tiles", (0.66, 0.64, 0.6), (0.56, 0.55, 0.52), scale=0.6),
    )
    stage.scene.put(walk, landscape.WIDTH / 2, 3.0 + far - 2.0, 0, 0)
    landscape.row_of_houses(stage, far)
    landscape.trees(stage, dice.integer(0, 2), 14.0, 26.0)
    return stage


def meadow(dice: Dice, kind: str) -> Stage:
    """Grazing or ridden animals of a kind, walkers."""
    stage = landscape.outdoors(dice, _lawn(dice), "grass")
    fill = dice.uniform(0.5, 0.9)
    if kind == "horse" and dice.chance(0.5):
        stage.focus(_rider(dice), fill, _sideways(dice))
    else:
        stage.focus(animal(dice, kind, grazing=dice.chance(0.3)), fill, _sideways(dice))
    for _ in range(dice.integer(0, 3)):
        stage.place(animal(dice, kind, grazing=dice.chance(0.5)), 4.0, 16.0)
    _people(stage, dice.pick((0, 0, 0, 1, 2)))
    if dice.chance(0.2):
        stage.place(animal(dice, "dog"), 2.5, 8.0)
    if dice.chance(0.5):
        stage.scene.put(landscape.fence(dice, 90.0), landscape.WIDTH / 2, dice.uniform(18.0, 32.0), 0.0, 0.0)
    landscape.trees(stage, dice.integer(1, 6))
    landscape.hills(stage)
    return stage


def shore(dice: Dice, subject: str) -> Stage:
    """A "boat" on the water, or else people and birds before it on the sand."""
    blue = dice.pick(((0.16, 0.28, 0.38), (0.18, 0.32, 0.34), (0.30, 0.36, 0.40)))
    sea = material(dice, "water", blue, (0.62, 0.72, 0.80), gloss=0.25)
    stage = landscape.outdoors(dice, sea, "water", (1.4, 2.2))
    reach = dice.uniform(3.0, 8.0)
    if subject == "boat":
        vessel = boat(dice)
        away = stage.focus(vessel, dice.uniform(0.45, 0.85), _sideways(dice))
        reach = min(reach, (away or 60.0) - 0.5 * vessel.depth - 0.5)  # the boat floats
    elif dice.chance(0.35):
        stage.focus(bird(dice), dice.uniform(0.2, 0.5), dice.uniform(-2.5, 2.5), z=0.06)
    else:
        stage.focus(upright(dice), dice.uniform(0.6, 1.0), dice.uniform(-1.5, 1.5), z=0.06)
    if reach > 0.0:
        beach = Thing("sand", 0, 0, 0)
        sand = material(dice, "gravel", (0.82, 0.74, 0.58), (0.66, 0.58, 0.44))
        block(beach, (0, 0, 0.0), (200.0, reach, 0.06), sand)
        stage.scene.put(beach, landscape.WIDTH / 2, 3.0, 0.0, 0.0)
    for _ in range(dice.integer(0, 2) if reach > 2.5 else 0):
        stage.place(upright(dice), 2.2, reach, z=0.06)
    for _ in range(dice.integer(0, 2)):
        stage.place(boat(dice), max(reach, 0.0) + 8.0, 40.0)
    for _ in range(dice.integer(0, 2) if reach > 2.0 else 0):
        stage.place(bird(dice), 1.8, reach, z=0.06)
    if dice.chance(0.3):
        stage.place(bird(dice, flying=True, scale=1.6), 4.0, 10.0, z=dice.uniform(2.0, 4.0))
    if dice.chance(0.6):
        landscape.hills(stage)
    return stage


def station(dice: Dice) -> Stage:
    """A train at a platform with people waiting."""
    stage = landscape.outdoors(
        dice, material(dice, "gravel", (0.55, 0.5, 0.45), (0.3, 0.27, 0.25)), "track", (1.6, 2.3)
    )
    side = dice.pick((-1.0, 1.0))
    turn = side * dice.uniform(0.25, 0.6)
    engine = train(dice)
    offset, ahead = side * -dice.uniform(2.6, 4.0), dice.uniform(7.0, 12.0) + 14.4
    x, y = landscape.WIDTH / 2 + offset, 3.0 + ahead
    stage.scene.put(engine, x, y, 0.25, np.pi - turn * 0.25)
    stage.seen.append((-0.1 if offset < 0 else -0.5, 0.5 if offset < 0 else 0.1, ahead))
    walkway = Thing("platform", 5.0, 80.0, 0.9)
    slab = material(dice, "tiles", (0.7, 0.68, 0.65), (0.6, 0.58, 0.56), scale=0.5)
    block(walkway, (0, 0, 0.2), (3.0, 40.0, 0.25), slab)
    centre = landscape.WIDTH / 2 - np.sign(offset) * 1.4
    stage.scene.put(walkway, float(centre), 42.0, 0.0, np.pi - turn * 0.25)
    for _ in range(dice.integer(1, 3)):
        low, high = (-0.45, -0.02) if offset < 0 else (0.02, 0.45)
        _waiting(stage, low, high)
    landscape.row_of_houses(stage, 55.0)
    landscape.trees(stage, dice.integer(1, 4), 30.0, 48.0)
    return stage


def _waiting(stage: Stage, low: float, high: float) -> None:
    """Someone on the platform within an interval of angles."""
    middle, half = (low + high) / 2, (high - low) / 2
    gaze = stage.plan.gaze
    turn = np.array([[np.cos(middle), -np.sin(middle)], [np.sin(middle), np.cos(middle)]])
    ahead = turn @ np.array(gaze)
    aimed = Stage(stage.dice, stage.scene, stage.plan)
    aimed.plan.gaze = (float(ahead[0]), float(ahead[1]))
    aimed.place(upright(stage.dice), 3.0, 8.0, aside=half, z=0.45)
    stage.plan.gaze = gaze


def airfield(dice: Dice) -> Stage:
    """An aeroplane on the ground or in the air."""
    flying, paved = dice.chance(0.35), dice.chance(0.6)
    ground = _asphalt(dice) if paved else _lawn(dice)
    stage = landscape.outdoors(dice, ground, "runway" if paved else "grass")
    plane = aeroplane(dice)
    if flying:
        stage.focus(plane, dice.uniform(0.45, 0.8), dice.uniform(-2.8, 2.8), z=dice.uniform(6.0, 10.0))
    else:
        stage.focus(plane, dice.uniform(0.7, 1.0), _sideways(dice))
        _people(stage, dice.integer(0, 2), 3.0, 10.0)
        if dice.chance(0.25):
            stage.place(car(dice), 8.0, 20.0)
    if dice.chance(0.6):
        landscape.hills(stage)
    landscape.trees(stage, dice.integer(0, 3), 35.0, 60.0)
    return stage


def garden(dice: Dice, subject: str) -> Stage:
    """A lawn before a house: a "dog" or a "bird", or else people, standing or at a laid table."""
    stage = landscape.outdoors(dice, _lawn(dice), "grass")
    if subject == "dog":
        stage.focus(animal(dice, "dog"), dice.uniform(0.35, 0.7), dice.uniform(-2.2, 2.2))
    elif subject == "bird":
        stage.focus(bird(dice), dice.uniform(0.25, 0.55), dice.uniform(-2.2, 2.2))
    elif dice.chance(0.4):
        stage.focus(
            household.dining_group(dice, dice.integer(1, 3)), dice.uniform(0.6, 0.95), dice.uniform(-0.5, 0.5)
        )
    else:
        seat = household.chair(dice, occupied=True) if dice.chance(0.5) else upright(dice)
        stage.focus(seat, dice.uniform(0.6, 1.1), dice.uniform(-1.0, 1.0))
    _people(stage, dice.pick((0, 0, 1, 2)), 2.2, 6.0)
    if dice.chance(0.4):
        stage.place(household.chair(dice, occupied=dice.chance(0.4)), 2.0, 6.0)
    for _ in range(dice.integer(0, 2)):
        stage.place(household.potted_plant(dice, dice.uniform(0.5, 1.1)), 2.0, 7.0)
    if dice.chance(0.3):
        stage.place(animal(dice, dice.pick(("dog", "cat"))), 2.0, 6.0)
    if dice.chance(0.3):
        stage.place(bird(dice), 1.8, 5.0)
    landscape.row_of_houses(stage, dice.uniform(14.0, 22.0))
    if dice.chance(0.6):
        stage.scene.put(landscape.fence(dice, 80.0), landscape.WIDTH / 2, dice.uniform(12.0, 15.0), 0.0, 0.0)
    landscape.trees(stage, dice.integer(0, 4), 10.0, 14.0)
    return stage


def _rider(dice: Dice) -> Thing:
    """A horse with someone on its back."""
    horse = animal(dice, "horse")
    back = max(float(p.shape.centre[2] + p.shape.half[2]) for p in horse.pieces[:1])
    grips = (np.array([-0.07, 0.42, back + 0.14]), np.array([0.07, 0.42, back + 0.14]))
    rests = (np.array([-0.36, 0.1, back - 0.72]), np.array([0.36, 0.1, back - 0.72]))
    mount = Mount(horse, np.array([0.0, 0.02, back - 0.04]), grips, rests, dice.uniform(-0.05, 0.15))
    return mounted(dice, mount, sample_body(dice), spread=0.9)
