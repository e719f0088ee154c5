"""Who uses a street: parked and moving vehicles, walkers, and what stands along the kerb."""

from __future__ import annotations

import numpy as np

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.scene import Scene
from tabench.worlds.scenes.thing import Thing
from tabench.worlds.streets import furniture, greenery, vehicles
from tabench.worlds.streets.people import walker
from tabench.worlds.streets.plan import KERB, SEEN, Plan, Side

_CLEAR = 6.5  # nothing stands in the camera's own lane nearer than this
_FINE = 32.0  # nearer than this, small parts are built


def park(dice: Dice, scene: Scene, plan: Plan, side: Side) -> None:
    """Fill a parking strip, if the side has one wide enough."""
    if side.kerb - side.lanes < 1.5:
        return
    x = plan.middle + side.sign * (side.kerb - 1.02)
    y, chance = dice.uniform(2.0, 6.0), plan.kind.parked * dice.uniform(0.5, 1.2)
    while y < SEEN:
        thing = vehicles.van(dice) if dice.chance(0.1) else vehicles.car(dice, fine=y < _FINE)
        y += thing.depth / 2
        if dice.chance(chance) and plan.free(y, thing.depth / 2 + 2.5):
            turned = side.sign < 0 and dice.chance(0.8)
            scene.put(thing, x + dice.uniform(-0.1, 0.1), y, 0.0, np.pi if turned else 0.0)
        y += thing.depth / 2 + dice.uniform(0.6, 1.6)


def drive(dice: Dice, scene: Scene, plan: Plan) -> None:
    """Put moving vehicles into the lanes, facing their way."""
    for sign in (1, -1):
        for lane in range(plan.lanes):
            x = plan.middle + sign * (lane + 0.5) * plan.lane
            own = abs(x) < plan.lane / 2 + 0.5
            y = dice.uniform(_CLEAR, 40.0) if own else dice.uniform(-2.0, 35.0)
            last = SEEN if plan.end is None else plan.end - 14.0
            while y < last:
                thing = _moving(dice, y)
                y += thing.depth / 2
                if y + thing.depth / 2 < last and dice.chance(0.75):
                    scene.put(thing, x + dice.uniform(-0.25, 0.25), y, 0.0, 0.0 if sign > 0 else np.pi)
                y += thing.depth / 2 + dice.uniform(0.4, 1.6) * 90.0 / plan.kind.traffic


def _moving(dice: Dice, y: float) -> Thing:
    kind = dice.pick(("car",) * 9 + ("van", "lorry", "bus", "bicycle", "bicycle", "motorcycle"))
    if kind == "car":
        return vehicles.car(dice, fine=y < _FINE)
    if kind == "bicycle":
        return vehicles.bicycle(dice, ridden=True)
    return {
        "van": vehicles.van,
        "lorry": vehicles.lorry,
        "bus": vehicles.bus,
        "motorcycle": vehicles.motorcycle,
    }[kind](dice)


def cross(dice: Dice, scene: Scene, plan: Plan) -> None:
    """Vehicles and walkers that cross ahead, in side roads and over the road."""
    for at, half in plan.crossings:
        if not 9.0 < at < 90.0:
            continue
        if dice.chance(0.3) and plan.end is None:
            side = dice.pick(plan.sides)
            x = plan.middle + side.sign * (side.kerb + dice.uniform(3.0, 8.0))
            yaw = np.pi / 2 * side.sign
            scene.put(vehicles.car(dice), x, at - 1.6, 0.0, yaw)
        if dice.chance(0.35) and at - half > 12.0:
            for _ in range(dice.integer(1, 4)):
                x = plan.middle + dice.uniform(-plan.sides[0].kerb, plan.sides[1].kerb)
                if _vacant(scene, x, at - half - 2.0, 1.2):
                    yaw = dice.pick((np.pi / 2, -np.pi / 2)) + dice.uniform(-0.3, 0.3)
                    scene.put(walker(dice), x, at - half - 2.0 + dice.uniform(-1, 1), 0.0, yaw)


def _vacant(scene: Scene, x: float, y: float, margin: float) -> bool:
    """Whether no vehicle stands within a margin of a place."""
    for piece in scene.pieces:
        if piece.label == "vehicle":
            centre = piece.shape.centre
            if abs(centre[0] - x) < 1.0 + margin and abs(centre[1] - y) < 1.0 + margin:
                return False
    return True


def walk(dice: Dice, scene: Scene, plan: Plan) -> None:
    """Walkers on both pavements, alone or in pairs; more of them near."""
    for side in plan.sides:
        room = side.front - side.kerb - 1.0
        for _ in range(round(plan.kind.people * dice.uniform(0.15, 0.85))):
            y = 4.5 + 60.0 * dice.uniform(0, 1) ** 2.2
            out = side.kerb + 0.75 + max(room, 0.1) * dice.uniform(0, 1)
            yaw = dice.pick((0.0, np.pi, 0.0, np.pi, np.pi / 2, -np.pi / 2)) + dice.uniform(-0.3, 0.3)
            if not plan.free(y, 0.8):
                continue
            scene.put(walker(dice), plan.middle + side.sign * out, y, KERB, yaw)
            if dice.chance(0.35) and room > 1.0:
                beside = side.kerb + 0.75 + (out - side.kerb - 0.1) % room
                scene.put(walker(dice), plan.middle + side.sign * beside, y + 0.3, KERB, yaw)


def furnish(dice: Dice, scene: Scene, plan: Plan, side: Side) -> None:
    """Walk along a kerb and put up a lamp, a tree, a sign, a light, a bin or bollards at each place."""
    x = plan.middle + side.sign * (side.kerb + 0.42)
    y, lamps = dice.uniform(4.0, 9.0), 0.0
    inward = -side.sign * dice.uniform(1.2, 2.6)
    while y < SEEN:
        if not plan.free(y, 0.6):
            y += 2.0
            continue
        if y > lamps and dice.chance(0.6):
            scene.put(furniture.lamp_post(dice, inward), x, y, KERB, 0.0)
            lamps = y + 22.0
        elif dice.chance(plan.kind.trees) and y > 8.0:
            tree = greenery.tree(dice, street=True, fine=y < 40.0)
            scene.put(tree, x + 0.3 * side.sign, y, KERB, dice.uniform(0, 6))
        elif dice.chance(0.75):
            _small(dice, scene, x, y)
        y += dice.uniform(3.0, 9.0)
    for at, half in plan.crossings:
        y = at - half - 0.9
        if side.sign > 0 and y > 7.0 and dice.chance(0.55) and plan.end is None:
            reach = -dice.uniform(2.5, 4.5) if dice.chance(0.5) else 0.0
            scene.put(furniture.traffic_light(dice, reach), x, y, KERB, 0.0)


def _small(dice: Dice, scene: Scene, x: float, y: float) -> None:
    kind = dice.pick(("sign",) * 4 + ("bollards", "bollards", "bin", "cabinet", "board", "bicycle"))
    if kind == "bollards":
        for k in range(dice.integer(2, 5)):
            scene.put(furniture.bollard(dice), x, y + 1.4 * k, KERB, 0.0)
    elif kind == "board":
        scene.put(furniture.board(dice, dice.uniform(1.4, 2.2)), x, y, KERB, 0.0)
    elif kind == "bicycle":
        scene.put(vehicles.bicycle(dice, ridden=False), x, y, KERB, dice.uniform(-0.4, 0.4))
    else:
        make = {"sign": furniture.sign, "bin": furniture.litter_bin, "cabinet": furniture.cabinet}[kind]
        scene.put(make(dice), x, y, KERB, dice.uniform(-0.2, 0.2))
