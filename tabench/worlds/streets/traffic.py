"""Who uses a street: parked and moving vehicles, walkers, and what stands along the kerb."""

from __future__ import annotations

import numpy as np

from tabench.worlds.dice import Dice
from tabench.worlds.people import pedestrian
from tabench.worlds.prefabs import build
from tabench.worlds.streets.plan import KERB, SEEN, Plan, Side
from tabench.worlds.things import Scene

_CLEAR = 6.5  # nothing stands in the camera's own lane nearer than this
_FINE, _NEAR = 15.0, 30.0  # nearer than these, people have faces, and vehicles their small parts
_MOVING = ("car",) * 9 + ("van", "van", "lorry", "bus")
_SMALL = ("sign",) * 4 + ("bollards", "bollards", "bin", "column", "board")


def park(dice: Dice, scene: Scene, plan: Plan, side: Side) -> None:
    """Fill a parking strip, if the side has one wide enough."""
    if side.kerb - side.lanes < 1.5:
        return
    x = plan.middle + side.sign * (side.kerb - 1.02)
    y, chance = dice.uniform(2.0, 6.0), plan.kind.parked * dice.uniform(0.5, 1.2)
    while y < SEEN:
        thing = build(dice, "van" if dice.chance(0.1) else "car", fine=y < _NEAR)
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
            while y < SEEN:
                thing = build(dice, dice.pick(_MOVING), fine=y < _NEAR)
                y += thing.depth / 2
                if dice.chance(0.75):
                    scene.put(thing, x + dice.uniform(-0.25, 0.25), y, 0.0, 0.0 if sign > 0 else np.pi)
                y += thing.depth / 2 + dice.uniform(0.4, 1.6) * 90.0 / plan.kind.traffic


def stroll(dice: Dice, scene: Scene, plan: Plan) -> None:
    """Walkers on both pavements, alone or in pairs; more of them near."""
    for side in plan.sides:
        room = max(side.front - side.kerb - 1.0, 0.1)
        for _ in range(round(plan.kind.people * dice.uniform(0.15, 0.85))):
            y, out = 4.5 + 60.0 * dice.uniform(0, 1) ** 2.2, room * dice.uniform(0, 1)
            yaw = dice.pick((0.0, np.pi, 0.0, np.pi, np.pi / 2, -np.pi / 2)) + dice.uniform(-0.3, 0.3)
            for beside in (out, (out + 0.65) % room)[: 2 if room > 1.0 and dice.chance(0.35) else 1]:
                x = plan.middle + side.sign * (side.kerb + 0.75 + beside)
                if plan.free(y, 0.8):
                    scene.put(pedestrian(dice, fine=y < _FINE), x, y, KERB, yaw)


def furnish(dice: Dice, scene: Scene, plan: Plan, side: Side) -> None:
    """Walk along a kerb and put up a lamp, a tree, a sign, a light, a bin or bollards at each place."""
    x = plan.middle + side.sign * (side.kerb + 0.42)
    y, lamps = dice.uniform(4.0, 9.0), 0.0
    while y < SEEN:
        if not plan.free(y, 0.6):
            y += 2.0
            continue
        if y > lamps and dice.chance(0.6):
            scene.put(build(dice, "lamppost"), x, y, KERB, np.pi if side.sign > 0 else 0.0)
            lamps = y + 22.0
        elif dice.chance(plan.kind.trees) and y > 8.0:
            scene.put(build(dice, "tree"), x + 0.3 * side.sign, y, KERB, dice.uniform(0, 6))
        elif dice.chance(0.75):
            scene.put(build(dice, dice.pick(_SMALL)), x, y, KERB, dice.uniform(-0.2, 0.2))
        y += dice.uniform(3.0, 9.0)
    for at, half in plan.crossings:
        y = at - half - 0.9
        if side.sign > 0 and y > 7.0 and dice.chance(0.55):
            scene.put(build(dice, "trafficlight"), x, y, KERB)
