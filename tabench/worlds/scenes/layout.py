"""Furnishing: which things a room has and where they stand."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tabench.worlds.scenes.dice import Dice
from tabench.worlds.scenes.floorplan import FloorPlan, Spot, Wall, walls
from tabench.worlds.scenes.scene import Scene
from tabench.worlds.scenes.thing import Thing, Top

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
        self.height = float(scene.size[2])

    def along_wall(self, thing: Thing, *, seen: bool = True) -> tuple[int, float] | None:
        """Stand a thing with its back to a wall; returns the wall and the place on it."""
        for attempt in range(_TRIES):
            k = self.dice.integer(0, 3)
            wall, low = self.walls[k], thing.width / 2 + 0.02
            if wall.length < 2 * low:
                continue
            u = self.dice.uniform(low, wall.length - low)
            if self.dice.chance(0.25):
                u = self.dice.pick((low + 0.02, wall.length - low - 0.02))
            if self._stand(thing, k, u, seen and attempt < 0.75 * _TRIES):
                return k, u
        return None

    def beside(self, thing: Thing, place: tuple[int, float], width: float) -> None:
        """Stand a thing on the same wall, next to another of a given width."""
        for side in self.dice.pick(((1, -1), (-1, 1))):
            u = place[1] + side * (width + thing.width + 0.12) / 2
            if self._stand(thing, place[0], u, False):
                return

    def _stand(self, thing: Thing, k: int, u: float, seen: bool) -> bool:
        wall = self.walls[k]
        x, y = wall.at(u, thing.depth / 2 + 0.03)
        if seen and not self.plan.seen(x, y):
            return False
        return self.at(thing, x, y, wall.yaw)

    def at(self, thing: Thing, x: float, y: float, yaw: float) -> bool:
        """Stand a thing at a place if it is free."""
        spot = Spot(x, y, thing.width / 2, thing.depth / 2, yaw)
        touched = [self._shadow(spot, k) for k in range(4)]
        for k, shadow in enumerate(touched):
            if shadow is not None and not self.plan.wall_free(k, *shadow, 0.0, thing.height):
                return False
        if not self.plan.fits(spot, thing.height):
            return False
        for k, shadow in enumerate(touched):
            if shadow is not None:
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
            x, y = (
                self.dice.uniform(0.3, self.plan.width - 0.3),
                self.dice.uniform(0.3, self.plan.depth - 0.3),
            )
            yaw = self.dice.pick((0.0, np.pi / 2, np.pi, -np.pi / 2)) + self.dice.uniform(-0.15, 0.15)
            if self.plan.seen(x, y) and self.at(thing, x, y, yaw):
                return self.plan.spots[-1]
        return None

    def on_wall(
        self, thing: Thing, low: float, *, seen: bool = True, slack: float = 0.06
    ) -> tuple[Wall, float] | None:
        """Hang a thing at a height; returns the wall and the place on it."""
        if low + thing.height > self.height - 0.05:
            return None
        for attempt in range(_TRIES):
            k = self.dice.integer(0, 3)
            wall = self.walls[k]
            edge = thing.width / 2 + 0.2
            if wall.length < 2 * edge:
                continue
            u = self.dice.uniform(edge, wall.length - edge)
            x, y = wall.at(u, thing.depth / 2 + 0.002)
            if seen and attempt < 0.8 * _TRIES and not self.plan.seen(x, y, 30):
                continue
            if self.plan.wall_free(k, u, thing.width + 2 * slack, low - slack, low + thing.height + slack):
                self.plan.use_wall(k, u, thing.width + 2 * slack, low - slack, low + thing.height + slack)
                self.scene.put(thing, x, y, low, wall.yaw)
                return wall, u
        return None

    def strew(self, thing: Thing, makers: list[Callable[[], Thing]], limit: int) -> None:
        """Put small things on the tops of a thing that is not placed yet."""
        for number, top in enumerate(thing.tops):
            taken: list[Spot] = []
            for k in range(limit):
                small = self.dice.pick(makers)()
                if small.height > top.clear + 0.3:
                    continue
                spot = self._on_top(top, small, taken)
                if spot is not None:
                    taken.append(spot)
                    yaw = spot.yaw
                    thing.include(small, spot.x, spot.y, top.z, yaw, f"top{number}.{k}")

    def _on_top(self, top: Top, small: Thing, taken: list[Spot]) -> Spot | None:
        for _ in range(8):
            room_x, room_y = (top.width - small.width) / 2, (top.depth - small.depth) / 2
            if room_x < 0 or room_y < 0:
                return None
            x, y = top.x + self.dice.uniform(-room_x, room_x), top.y + self.dice.uniform(-room_y, room_y)
            spot = Spot(x, y, small.width / 2, small.depth / 2, self.dice.uniform(-0.3, 0.3))
            if not any(spot.meets(other, 0.02) for other in taken):
                return spot
        return None
