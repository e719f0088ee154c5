"""Where things find a place: on the floor and walls of a room, in view of the camera, free of each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tabench.worlds.camera import Camera
from tabench.worlds.dice import Dice, Floats
from tabench.worlds.prefabs import build
from tabench.worlds.things import Scene, Thing

_TRIES = 40
_WALL_DEPTH = 0.16  # things on walls reach no further into the room
_TALL, _WIDE = 1.08, 0.81  # focal length in picture heights and in picture widths
_CLOSER = 1.15  # footprints are a little wider than what stands on them
_HIDDEN = 0.45  # share of a thing's angular width that nearer ones may cover


def heading(yaw: float) -> Floats:
    """Axes (2, 2) in rows of what is turned by a yaw: its right and its front."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, s], [-s, c]])


@dataclass(frozen=True)
class Spot:
    """A rectangle on the floor: centre, half width along its x, half depth, yaw."""

    x: float
    y: float
    half_width: float
    half_depth: float
    yaw: float

    def corners(self) -> Floats:
        """(4, 2) corners in the room."""
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)
        return signs * [self.half_width, self.half_depth] @ heading(self.yaw) + [self.x, self.y]

    def meets(self, other: Spot, gap: float) -> bool:
        """Whether two rectangles come closer than a gap along each of their axes."""
        axes = np.concatenate([heading(self.yaw), heading(other.yaw)]).T
        a, b = self.corners() @ axes, other.corners() @ axes
        return bool((np.maximum(a.min(0) - b.max(0), b.min(0) - a.max(0)) < gap).all())


class Area(NamedTuple):
    """A rectangle on one of the walls, in metres along it and up."""

    wall: int
    left: float
    right: float
    low: float
    high: float

    def overlaps(self, other: Area) -> bool:
        """Whether two rectangles share a part of a wall."""
        across = self.left < other.right and other.left < self.right
        return self.wall == other.wall and across and self.low < other.high and other.low < self.high


class Floor:
    """Places things in a scene by rejection sampling, and knows what is still free.

    Wall 0 runs along x at y = 0, the others follow counter-clockwise; wall k has its inside at yaw k * 90
    degrees, as have things with their backs to it.
    """

    def __init__(self, dice: Dice, scene: Scene) -> None:
        self.dice, self.scene = dice, scene
        self.sides = scene.size[:2]
        self.eye = scene.camera.position[:2].copy()
        ahead = scene.camera.axes[:2, 2]
        self.gaze = ahead / np.hypot(*ahead)
        self.spots: list[Spot] = []
        self.hung: list[Area] = []
        self.shown: list[tuple[float, float, float]] = []  # angles (low, high) and distance of what is staged

    def at_wall(self, wall: int, u: float, out: float) -> tuple[float, float]:
        """Room coordinates of a point u along a wall and out from it."""
        start = self.sides * ((0, 0), (1, 0), (1, 1), (0, 1))[wall]
        x, y = (start + np.array([u, out]) @ heading(wall * np.pi / 2)).tolist()
        return x, y

    def seen(self, x: float, y: float, angle: float = 28.0) -> bool:
        """Whether a point lies within an angle (degrees) of the camera's gaze."""
        way = np.array([x, y]) - self.eye
        distance = np.hypot(*way)
        return bool(distance > 0.6 and way @ self.gaze > distance * np.cos(np.radians(angle)))

    def fits(self, spot: Spot, height: float, gap: float = 0.04) -> bool:
        """Whether a thing can stand there without touching walls, things or the view."""
        corners = spot.corners()
        if corners.min() < 0.005 or (corners > self.sides - 0.005).any():
            return False
        half = 0.65 if height > 1.1 else 0.25
        x, y = self.eye + half * self.gaze
        before = Spot(x, y, 0.3, half + 0.3, float(np.arctan2(-self.gaze[0], self.gaze[1])))
        return not any(spot.meets(other, gap) for other in (before, *self.spots))

    def at(self, thing: Thing, x: float, y: float, yaw: float) -> bool:
        """Stand a thing at a place if it is free, also of what hangs on the walls behind it."""
        spot = Spot(x, y, thing.width / 2, thing.depth / 2, yaw)
        covered = []
        for k in range(4):
            right, front = heading(k * np.pi / 2)
            offset = spot.corners() - self.at_wall(k, 0.0, 0.0)
            if (offset @ front).min() < _WALL_DEPTH:
                along = offset @ right
                covered.append(Area(k, float(along.min()), float(along.max()), 0.0, thing.height))
        taken = any(area.overlaps(other) for area in covered for other in self.hung)
        if taken or not self.fits(spot, thing.height):
            return False
        self.hung += covered
        self.spots.append(spot)
        self.scene.put(thing, x, y, 0.0, yaw)
        return True

    def _at_any_wall(self, width: float, margin: float) -> tuple[int, float] | None:
        wall = self.dice.integer(0, 3)
        low = width / 2 + margin
        high = float(self.sides[wall % 2]) - low
        return (wall, self.dice.uniform(low, high)) if low <= high else None

    def along_wall(self, thing: Thing) -> tuple[int, float] | None:
        """Stand a thing with its back to a wall, rather in view; returns the wall and the place on it."""
        for attempt in range(_TRIES):
            place = self._at_any_wall(thing.width, 0.03)
            if place is not None:
                x, y = self.at_wall(*place, thing.depth / 2 + 0.03)
                in_view = attempt > 0.75 * _TRIES or self.seen(x, y)
                if in_view and self.at(thing, x, y, place[0] * np.pi / 2):
                    return place
        return None

    def before(self, thing: Thing, place: tuple[int, float], out: float, turn: float = 0.0) -> bool:
        """Stand a thing some metres out from a place on a wall, turned from the wall's own direction."""
        return self.at(thing, *self.at_wall(*place, out), place[0] * np.pi / 2 + turn)

    def beside(self, thing: Thing, place: tuple[int, float], width: float) -> None:
        """Stand a thing on the same wall, next to another of a given width."""
        for side in self.dice.pick(((1, -1), (-1, 1))):
            u = place[1] + side * (width + thing.width + 0.12) / 2
            if self.before(thing, (place[0], u), thing.depth / 2 + 0.03):
                return

    def free(self, thing: Thing) -> Spot | None:
        """Stand a thing anywhere on the floor in view."""
        for _ in range(_TRIES):
            x, y = (self.dice.uniform(0.3, side - 0.3) for side in self.sides.tolist())
            yaw = self.dice.pick((0.0, np.pi / 2, np.pi, -np.pi / 2)) + self.dice.uniform(-0.15, 0.15)
            if self.seen(x, y) and self.at(thing, x, y, yaw):
                return self.spots[-1]
        return None

    def on_wall(
        self, thing: Thing, low: float, *, seen: bool = True, slack: float = 0.06
    ) -> tuple[int, float] | None:
        """Hang a thing at a height; returns the wall and the place on it."""
        if low + thing.height > float(self.scene.size[2]) - 0.05:
            return None
        for attempt in range(_TRIES):
            place = self._at_any_wall(thing.width, 0.2)
            if place is None:
                continue
            x, y = self.at_wall(*place, thing.depth / 2 + 0.002)
            if seen and attempt < 0.8 * _TRIES and not self.seen(x, y, 30):
                continue
            wall, u, half = *place, thing.width / 2 + slack
            area = Area(wall, u - half, u + half, low - slack, low + thing.height + slack)
            if not any(area.overlaps(other) for other in self.hung):
                self.hung.append(area)
                self.scene.put(thing, x, y, low, wall * np.pi / 2)
                return place
        return None

    def focus(self, thing: Thing, fill: float, turn: float) -> None:
        """Place the subject and aim the camera at it; the first thing to be placed.

        Args:
            thing: The subject; there may be no room for it.
            fill: Share of the picture's height or width that it should take, as its footprint says.
            turn: Its front's angle to the camera, radians.
        """
        c, s = abs(np.cos(turn)), abs(np.sin(turn))
        across, near = thing.width * c + thing.depth * s, 0.5 * (thing.depth * c + thing.width * s)
        wanted = max(_TALL * thing.height, _WIDE * across) / (_CLOSER * fill)
        for attempt in range(_TRIES):
            distance = float(max(wanted, near + 0.6) * (1.0 + 0.04 * attempt))
            if self._stage(thing, distance, self.dice.uniform(-0.25, 0.25), turn):
                self._aim(thing.height, distance)
                return

    def place(self, thing: Thing, near: float, far: float) -> None:
        """Place a thing somewhere in view between two distances, if there is room."""
        for _ in range(_TRIES):
            angle, turn = self.dice.uniform(-0.48, 0.48), self.dice.uniform(-np.pi, np.pi)
            if self._stage(thing, self.dice.uniform(near, far), angle, turn):
                return

    def _aim(self, height: float, distance: float) -> None:
        """Bring the camera down to what is low, and pitch it so that the subject is in the picture."""
        position = self.scene.camera.position.copy()
        position[2] = min(position[2], max(0.35, height * self.dice.uniform(1.1, 2.2)))
        middle = height * self.dice.uniform(0.42, 0.58)
        if _TALL * height / distance > 0.95:  # too large: rather the head than the feet
            middle = height - 0.42 * distance / _TALL
        pitch = float(np.arctan2(middle - position[2], distance)) + self.dice.uniform(-0.05, 0.05)
        yaw = float(np.arctan2(self.gaze[1], self.gaze[0]))
        self.scene.camera = Camera.looking(position, yaw, pitch, self.dice.uniform(-0.03, 0.03))

    def _stage(self, thing: Thing, distance: float, angle: float, turn: float) -> bool:
        """Stand a thing so far from the camera, at an angle to its gaze, where little is hidden."""
        x, y = (self.eye + distance * self.gaze @ heading(angle)).tolist()
        yaw = float(np.arctan2(x - self.eye[0], self.eye[1] - y)) + turn
        half = 0.5 * (thing.width * abs(np.cos(turn)) + thing.depth * abs(np.sin(turn)))
        spread = float(np.arctan2(half, distance))
        low, high = angle - spread, angle + spread
        for other_low, other_high, other in self.shown:
            common = min(high, other_high) - max(low, other_low)
            if common > _HIDDEN * ((high - low) if distance > other else (other_high - other_low)):
                return False
        spot = Spot(x, y, thing.width / 2, thing.depth / 2, yaw)
        if not self.fits(spot, 0.5):
            return False
        self.spots.append(spot)
        self.shown.append((low, high, distance))
        self.scene.put(thing, x, y, 0.0, yaw)
        return True


def strew(dice: Dice, thing: Thing, names: str, most: int) -> None:
    """Stand small prefabs on the tops of a thing that is not placed yet."""
    for number, top in enumerate(thing.tops):
        taken: list[Spot] = []
        for k in range(dice.integer(0, most)):
            small = build(dice, dice.pick(names.split()))
            room_x, room_y = (top.width - small.width) / 2, (top.depth - small.depth) / 2
            if small.height > top.clear + 0.1 or min(room_x, room_y) < 0:
                continue
            x, y = top.x + dice.uniform(-room_x, room_x), top.y + dice.uniform(-room_y, room_y)
            spot = Spot(x, y, small.width / 2, small.depth / 2, dice.uniform(-0.3, 0.3))
            if not any(spot.meets(other, 0.02) for other in taken):
                taken.append(spot)
                thing.include(small, x, y, top.z, spot.yaw, f"top{number}.{k}")
