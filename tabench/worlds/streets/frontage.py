"""What lines a street behind its pavements: houses, gardens, walls, hedges, woods."""

from __future__ import annotations

import numpy as np

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.scene import Scene
from tabench.worlds.streets import greenery, houses
from tabench.worlds.streets.plan import KERB, SEEN, Plan, Side

_FAR_ROW = 240.0  # metres to which closed rows of houses go on


def line_street(dice: Dice, scene: Scene, plan: Plan) -> None:
    """Build both sides and close the view."""
    build = {"town": _town, "villas": _villas, "none": _green}[plan.kind.houses]
    for side in plan.sides:
        for first, last in plan.stretches():
            build(dice, scene, plan, side, first, last)
    _backdrop(dice, scene, plan)


def _turn(side: Side) -> float:
    """Yaw that makes a thing's front (+y) face the road."""
    return np.pi / 2 if side.sign > 0 else -np.pi / 2


def _town(dice: Dice, scene: Scene, plan: Plan, side: Side, first: float, last: float) -> None:
    y, last = first, min(last, _FAR_ROW)
    storeys = dice.integer(2, 5)
    while y < last - 4.0:
        width = min(dice.uniform(7.0, 18.0), last - y)
        if last - y - width < 5.0:
            width = last - y
        deep, back = dice.uniform(9.0, 13.0), dice.uniform(*plan.kind.setback)
        high = max(1, storeys + dice.integer(-1, 1))
        if dice.chance(0.06):
            _gap(dice, scene, plan, side, y, width)
        else:
            house = houses.town_house(dice, width, deep, high)
            x = plan.middle + side.sign * (side.front + back + deep / 2)
            scene.put(house, x, y + width / 2, 0.0, _turn(side))
        y += width


def _gap(dice: Dice, scene: Scene, plan: Plan, side: Side, y: float, width: float) -> None:
    x = plan.middle + side.sign * (side.front + 0.3)
    make = dice.pick((houses.wall, houses.fence))
    scene.put(make(dice, width - 0.2, dice.uniform(1.4, 2.4)), x, y + width / 2, KERB, 0.0)
    tree = greenery.tree(dice, street=False, fine=y < 50.0)
    scene.put(tree, x + side.sign * 4.5, y + width / 2, KERB, dice.uniform(0, 6))


def _villas(dice: Dice, scene: Scene, plan: Plan, side: Side, first: float, last: float) -> None:
    y, last = first, min(last, SEEN + 40.0)
    while y < last - 8.0:
        plot = min(dice.uniform(13.0, 20.0), last - y)
        width, deep = plot - dice.uniform(3.5, 6.0), dice.uniform(8.0, 11.0)
        back = dice.uniform(*plan.kind.setback)
        x = plan.middle + side.sign * (side.front + back + deep / 2)
        scene.put(houses.villa(dice, width, deep), x, y + plot / 2, KERB, _turn(side))
        edge = plan.middle + side.sign * (side.front + 0.25)
        border, gate = dice.pick(("hedge", "hedge", "wall", "fence", "")), dice.uniform(2.5, 4.0)
        if border and y < SEEN:
            low = dice.uniform(0.7, 1.5)
            make = {"hedge": greenery.hedge, "wall": houses.wall, "fence": houses.fence}[border]
            scene.put(make(dice, plot - gate, low), edge, y + (plot - gate) / 2, KERB - 0.05, 0.0)
        for _ in range(dice.integer(0, 2)):
            at = y + dice.uniform(0.5, plot - 0.5)
            _plant(dice, scene, plan.middle + side.sign * (side.front + dice.uniform(1.4, 2.6)), at)
        if dice.chance(0.5):
            behind = x + side.sign * (deep / 2 + 3.0)
            scene.put(greenery.tree(dice, street=False, fine=y < 40.0), behind, y + plot, 0.0, 0.0)
        y += plot


def _plant(dice: Dice, scene: Scene, x: float, y: float) -> None:
    kind = dice.pick(("bush", "bush", "tree", "conifer"))
    if kind == "bush":
        scene.put(greenery.bush(dice, dice.uniform(1.0, 2.0)), x, y, KERB - 0.05, 0.0)
    else:
        tree = (
            greenery.conifer(dice) if kind == "conifer" else greenery.tree(dice, street=False, fine=y < 40.0)
        )
        scene.put(tree, x + (0.8 if x > 0 else -0.8), y, KERB - 0.05, dice.uniform(0, 6))


def _green(dice: Dice, scene: Scene, plan: Plan, side: Side, first: float, last: float) -> None:
    y, last = first, min(last, SEEN + 40.0)
    border = dice.pick(("hedge", "wall", "fence", "", ""))
    make = {"hedge": greenery.hedge, "wall": houses.wall, "fence": houses.fence}.get(border)
    low = dice.uniform(0.8, 2.2)
    while y < last - 3.0:
        length = min(dice.uniform(5.0, 11.0), last - y)
        edge = side.front + 0.4
        if make is not None:
            scene.put(
                make(dice, length, low), plan.middle + side.sign * edge, y + length / 2, KERB - 0.05, 0.0
            )
        for _ in range(dice.integer(1, 3)):
            out = side.front + dice.uniform(2.2, 11.0)
            _plant(dice, scene, plan.middle + side.sign * out, y + dice.uniform(0, length))
        if dice.chance(0.08):
            out = side.front + dice.uniform(16.0, 24.0)
            house = houses.villa(dice, dice.uniform(8, 14), 9.0)
            scene.put(house, plan.middle + side.sign * out, y + length / 2, KERB, _turn(side))
        y += length


def _backdrop(dice: Dice, scene: Scene, plan: Plan) -> None:
    """A building across the end, or far houses and trees that hide the edge of the land."""
    if plan.end is not None:
        x = plan.middle + dice.uniform(-8, 8)
        for k in (-1, 0, 1):
            block = houses.far_block(dice, 24.0, dice.integer(3, 5))
            scene.put(block, x + 24.0 * k, plan.end + 10.0, 0.0, 0.0)
        return
    for k in range(14):
        x = (k - 6.5) * 26.0 + dice.uniform(-6, 6)
        if abs(x - plan.middle) < 9.0 and dice.chance(0.6):
            continue
        y = dice.uniform(250.0, 330.0)
        if dice.chance(0.5):
            scene.put(houses.far_block(dice, dice.uniform(16, 30), dice.integer(2, 5)), x, y, 0.0, 0.0)
        else:
            scene.put(greenery.bush(dice, dice.uniform(14.0, 26.0)), x, y, -1.0, 0.0)
