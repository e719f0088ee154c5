"""Furnishing a room: where things find a place."""

from __future__ import annotations

import numpy as np

from tabench.worlds.dice import Dice
from tabench.worlds.floorplan import FloorPlan, Spot, Wall, walls
from tabench.worlds.prefabs import build
from tabench.worlds.things import Scene, Thing

_TRIES = 40
_WALL_DEPTH = 0.16  # things on walls reach no further into the room


class Furnisher:
    """Places things in one room by rejection sampling.

    Args:
        dice: Random choices.
        scene: The room to fill.
        plan: Its floor plan with the camera.
    """

    def __init__(self, dice: Dice, scene: Scene, plan: FloorPlan) -> None:
        self.dice = dice
        self.scene = scene
        self.plan = plan
        self.walls = walls(plan.width, plan.depth)

    def along_wall(self, thing: Thing) -> tuple[int, float] | None:
        """Stand a thing with its back to a wall, rather in view; returns the wall and the place on it."""
        for attempt in range(_TRIES):
            k = self.dice.integer(0, 3)
            wall, low = self.walls[k], thing.width / 2 + 0.02
            if wall.length < 2 * low:
                continue
            u = self.dice.uniform(low, wall.length - low)
            if self.dice.chance(0.25):
                u = self.dice.pick((low + 0.02, wall.length - low - 0.02))
            if self._stand(thing, k, u, attempt < 0.75 * _TRIES):
                return k, u
        return None

    def beside(self, thing: Thing, place: tuple[int, float], width: float) -> None:
        """Stand a thing on the same wall, next to another of a given width."""
        for side in self.dice.pick(((1, -1), (-1, 1))):
            u = place[1] + side * (width + thing.width + 0.12) / 2
            if self._stand(thing, place[0], u, False):
                return

    def before(self, thing: Thing, place: tuple[int, float], out: float, turn: float = 0.0) -> bool:
        """Stand a thing some metres out from a place on a wall, turned from the wall's own direction."""
        wall = self.walls[place[0]]
        return self.at(thing, *wall.at(place[1], out), wall.yaw + turn)

    def _stand(self, thing: Thing, k: int, u: float, seen: bool) -> bool:
        x, y = self.walls[k].at(u, thing.depth / 2 + 0.03)
        return (not seen or self.plan.seen(x, y)) and self.at(thing, x, y, self.walls[k].yaw)

    def at(self, thing: Thing, x: float, y: float, yaw: float) -> bool:
        """Stand a thing at a place if it is free."""
        spot = Spot(x, y, thing.width / 2, thing.depth / 2, yaw)
        shadows = {k: shadow for k in range(4) if (shadow := self._shadow(spot, k)) is not None}
        free = (self.plan.wall_free(k, *shadow, 0.0, thing.height) for k, shadow in shadows.items())
        if not all(free) or not self.plan.fits(spot, thing.height):
            return False
        for k, shadow in shadows.items():
            self.plan.use_wall(k, *shadow, 0.0, thing.height)
        self.plan.spots.append(spot)
        self.scene.put(thing, x, y, 0.0, yaw)
        return True

    def _shadow(self, spot: Spot, k: int) -> tuple[float, float] | None:
        """Middle and width of the part of a wall that a spot covers; None if it is far."""
        wall = self.walls[k]
        offset = spot.corners() - wall.start
        if (offset @ wall.inward).min() > _WALL_DEPTH:
            return None
        along = offset @ wall.along
        return float(along.min() + along.max()) / 2, float(along.max() - along.min())

    def free(self, thing: Thing) -> Spot | None:
        """Stand a thing anywhere on the floor in view."""
        for _ in range(_TRIES):
            x = self.dice.uniform(0.3, self.plan.width - 0.3)
            y = self.dice.uniform(0.3, self.plan.depth - 0.3)
            yaw = self.dice.pick((0.0, np.pi / 2, np.pi, -np.pi / 2)) + self.dice.uniform(-0.15, 0.15)
            if self.plan.seen(x, y) and self.at(thing, x, y, yaw):
                return self.plan.spots[-1]
        return None

    def on_wall(
        self, thing: Thing, low: float, *, seen: bool = True, slack: float = 0.06
    ) -> tuple[Wall, float] | None:
        """Hang a thing at a height; returns the wall and the place on it."""
        if low + thing.height > float(self.scene.size[2]) - 0.05:
            return None
        for attempt in range(_TRIES):
            k = self.dice.integer(0, 3)
            wall, edge = self.walls[k], thing.width / 2 + 0.2
            if wall.length < 2 * edge:
                continue
            u = self.dice.uniform(edge, wall.length - edge)
            x, y = wall.at(u, thing.depth / 2 + 0.002)
            if seen and attempt < 0.8 * _TRIES and not self.plan.seen(x, y, 30):
                continue
            room = (k, u, thing.width + 2 * slack, low - slack, low + thing.height + slack)
            if self.plan.wall_free(*room):
                self.plan.use_wall(*room)
                self.scene.put(thing, x, y, low, wall.yaw)
                return wall, u
        return None


def strew(dice: Dice, thing: Thing, names: str, most: int) -> None:
    """Stand small prefabs on the tops of a thing that is not placed yet."""
    for number, top in enumerate(thing.tops):
        taken: list[Spot] = []
        for k in range(dice.integer(0, most)):
            small = build(dice, dice.pick(names.split()))
            room_x, room_y = (top.width - small.width) / 2, (top.depth - small.depth) / 2
            if small.height > top.clear + 0.1 or min(room_x, room_y) < 0:
                continue
            for _ in range(8):
                x = top.x + dice.uniform(-room_x, room_x)
                y = top.y + dice.uniform(-room_y, room_y)
                yaw = dice.uniform(-0.3, 0.3)
                spot = Spot(x, y, small.width / 2, small.depth / 2, yaw)
                if not any(spot.meets(other, 0.02) for other in taken):
                    taken.append(spot)
                    thing.include(small, x, y, top.z, yaw, f"top{number}.{k}")
                    break
