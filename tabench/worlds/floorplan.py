"""The plan of a room: what stands where, and what is still free."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from tabench.worlds.dice import Floats


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
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], dtype=np.float64)
        turned = signs * [self.half_width, self.half_depth] @ np.array([[c, s], [-s, c]])
        return np.asarray(turned + np.array([self.x, self.y]))

    def meets(self, other: Spot, gap: float) -> bool:
        """Whether two rectangles come closer than a gap (separating axes)."""
        a, b = self.corners(), other.corners()
        for yaw in (self.yaw, other.yaw):
            for axis in (np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])):
                u, v = a @ axis, b @ axis
                if u.max() + gap <= v.min() or v.max() + gap <= u.min():
                    return False
        return True

    def holds(self, x: float, y: float, margin: float) -> bool:
        """Whether a point lies inside or within a margin of the rectangle."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        dx, dy = x - self.x, y - self.y
        along, across = abs(c * dx + s * dy), abs(c * dy - s * dx)
        return bool(along < self.half_width + margin and across < self.half_depth + margin)


@dataclass(frozen=True)
class Wall:
    """One wall: its start, the direction along it, the normal into the room."""

    start: tuple[float, float]
    along: tuple[float, float]
    inward: tuple[float, float]
    length: float
    yaw: float

    def at(self, u: float, out: float) -> tuple[float, float]:
        """Room coordinates of a point u along and out from the wall."""
        return (
            self.start[0] + u * self.along[0] + out * self.inward[0],
            self.start[1] + u * self.along[1] + out * self.inward[1],
        )


def walls(width: float, depth: float) -> tuple[Wall, Wall, Wall, Wall]:
    """The four walls of a room [0, width] x [0, depth]."""
    quarter = np.pi / 2
    return (
        Wall((0, 0), (1, 0), (0, 1), width, 0.0),
        Wall((width, 0), (0, 1), (-1, 0), depth, quarter),
        Wall((width, depth), (-1, 0), (0, -1), width, 2 * quarter),
        Wall((0, depth), (0, -1), (1, 0), depth, -quarter),
    )


@dataclass
class FloorPlan:
    """Occupied floor and wall areas."""

    width: float  # room size along x in metres
    depth: float  # room size along y
    eye: tuple[float, float]  # where the camera stands (x, y)
    gaze: tuple[float, float]  # direction it looks, unit (x, y)
    spots: list[Spot] = field(default_factory=list)
    hung: dict[int, list[tuple[float, float, float, float]]] = field(default_factory=dict)

    def fits(self, spot: Spot, height: float, gap: float = 0.04) -> bool:
        """Whether a thing can stand there without touching walls, things or the view."""
        corners = spot.corners()
        if corners.min() < 0.005 or (corners > np.array([self.width, self.depth]) - 0.005).any():
            return False
        ahead = 1.3 if height > 1.1 else 0.5
        for step in np.linspace(0.0, ahead, 6):
            x, y = self.eye[0] + step * self.gaze[0], self.eye[1] + step * self.gaze[1]
            if spot.holds(x, y, 0.3):
                return False
        return not any(spot.meets(other, gap) for other in self.spots)

    def seen(self, x: float, y: float, angle: float = 28.0) -> bool:
        """Whether a point lies within an angle (degrees) of the camera's gaze."""
        dx, dy = x - self.eye[0], y - self.eye[1]
        distance = np.hypot(dx, dy)
        ahead = dx * self.gaze[0] + dy * self.gaze[1]
        return bool(distance > 0.6 and ahead > distance * np.cos(np.radians(angle)))

    def wall_free(self, wall: int, u: float, width: float, low: float, high: float) -> bool:
        """Whether a rectangle on a wall is still free."""
        left, right = u - width / 2, u + width / 2
        for a, b, c, d in self.hung.get(wall, []):
            if left < b and a < right and low < d and c < high:
                return False
        return True

    def use_wall(self, wall: int, u: float, width: float, low: float, high: float) -> None:
        """Mark a rectangle on a wall as taken."""
        self.hung.setdefault(wall, []).append((u - width / 2, u + width / 2, low, high))
