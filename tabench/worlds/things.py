"""Things made of labelled solids, and scenes made of things."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np

from tabench.worlds.camera import Camera
from tabench.worlds.dice import Floats
from tabench.worlds.shapes import BALL, BOX, CYLINDER, Shape, yaw_matrix
from tabench.worlds.surfaces import Material
from tabench.worlds.weather import Weather

Point = Sequence[float] | Floats


@dataclass(frozen=True, eq=False)
class Piece:
    """One primitive with what the renderer must know."""

    shape: Shape  # its geometry
    label: str  # what it is; each world has its own classes for these words
    material: Material  # its surface
    group: str = ""  # pieces of one thing with the same group and label (up to a "/") are one instance
    casts: bool = True  # whether it throws shadows
    glass: bool = False  # whether a depth sensor sees nothing there


class Top(NamedTuple):
    """A level surface that small things can stand on, in the thing's frame (metres)."""

    x: float
    y: float
    z: float
    width: float
    depth: float
    clear: float = 0.5


@dataclass
class Thing:
    """A thing in its own frame: centre of its footprint at 0, front towards +y, z up."""

    label: str  # what its pieces are unless they say otherwise
    width: float  # extent along x in metres
    depth: float  # extent along y in metres
    height: float  # extent along z in metres
    pieces: list[Piece] = field(default_factory=list)
    tops: list[Top] = field(default_factory=list)

    def solid(
        self,
        kind: int,
        centre: Point,
        half: Point,
        material: Material,
        axes: Floats | None = None,
        taper: float = 1.0,
        **marks: Any,
    ) -> None:
        """Add a primitive, a `Shape` by its centre, half extents and axes; marks are fields of `Piece`."""
        turned = np.eye(3) if axes is None else axes
        shape = Shape(kind, np.asarray(centre, np.float64), turned, np.asarray(half, np.float64), taper)
        marks.setdefault("label", self.label)
        self.pieces.append(Piece(shape, material=material, **marks))

    def box(self, foot: Point, size: Point, material: Material, **marks: Any) -> None:
        """Add a box by the middle of its lower face and its full size."""
        x, y, z = foot
        self.solid(BOX, (x, y, z + size[2] / 2), np.asarray(size) / 2, material, **marks)

    def ball(
        self,
        centre: Point,
        half: Point,
        material: Material,
        axes: Floats | None = None,
        **marks: Any,
    ) -> None:
        """Add an ellipsoid by its centre and half axes."""
        self.solid(BALL, centre, half, material, axes, **marks)

    def rod(
        self,
        start: Point,
        end: Point,
        radii: Sequence[float] | Floats,
        material: Material,
        *,
        flat: float = 1.0,
        across: Point = (1.0, 0.0, 0.0),
        knob: bool = False,
        **marks: Any,
    ) -> None:
        """Add a tapering rod between two points, of a radius at each, perhaps with a ball at its end.

        Its cross-section's width is along the x axis, or `across`; `flat` is its depth as a share of that.
        """
        a, b = np.asarray(start, np.float64), np.asarray(end, np.float64)
        low, high = (a, b) if radii[0] >= radii[1] else (b, a)  # solids narrow upwards
        wide, narrow = max(radii), min(radii)
        half = (wide, wide * flat, max(float(np.linalg.norm(b - a)) / 2, 1e-4))
        axes = frame(high - low, across)
        self.solid(CYLINDER, (a + b) / 2, half, material, axes, max(narrow / wide, 0.02), **marks)
        if knob:
            self.solid(BALL, b, (radii[1], radii[1] * flat, radii[1]), material, axes, **marks)

    def moved(self, x: float, y: float, z: float, yaw: float) -> list[Piece]:
        """The pieces in the coordinates of what the thing is put into."""
        turn, shift = yaw_matrix(yaw), np.array([x, y, z])
        return [replace(piece, shape=piece.shape.moved(turn, shift)) for piece in self.pieces]

    def include(self, other: Thing, x: float, y: float, z: float, yaw: float, group: str) -> None:
        """Put another thing onto or into this one, as instances of its own."""
        for piece in other.moved(x, y, z, yaw):
            self.pieces.append(replace(piece, group=f"{group}/{piece.group}"))


def unit(vector: Point) -> Floats:
    """A vector scaled to length 1 (3,)."""
    array = np.asarray(vector, dtype=np.float64)
    return np.asarray(array / max(float(np.linalg.norm(array)), 1e-9))


def frame(up: Point, across: Point = (1.0, 0.0, 0.0)) -> Floats:
    """Axes (3, 3) with z along `up` and x as near to `across` as that allows."""
    z = unit(up)
    x = np.asarray(across, dtype=np.float64)
    x = x - (x @ z) * z
    if float(np.linalg.norm(x)) < 1e-6:
        x = np.array([0.0, 1.0, 0.0]) - z[1] * z
    a, b, c = unit(x)
    d, e, f = z
    # the columns x, z cross x, z; written out, as np.cross takes longer than all of the rest
    return np.array([[a, e * c - f * b, d], [b, f * a - d * c, e], [c, d * b - e * a, f]])


@dataclass(frozen=True, eq=False)
class Light:
    """A lamp or a window."""

    points: Floats  # (k, 3) positions it shines from, in equal shares
    normal: Floats | None  # (3,) direction a window faces; None shines everywhere
    power: Floats  # (3,) linear colour times strength


@dataclass
class Scene:
    """Things before a camera."""

    size: Floats  # (3,) inner extents in metres
    camera: Camera
    pieces: list[Piece] = field(default_factory=list)  # in the scene's coordinates
    instances: list[int] = field(default_factory=list)  # number of each piece's instance, from 1
    things: list[int] = field(default_factory=list)  # number of the thing each piece belongs to, for culling
    lights: list[Light] = field(default_factory=list)  # what lights a room
    scatter: float = 0.2  # light from everywhere in a room, as a multiple of a white wall
    weather: Weather | None = None  # what lights the outdoors; None in a room

    def put(self, thing: Thing, x: float = 0.0, y: float = 0.0, z: float = 0.0, yaw: float = 0.0) -> None:
        """Add a thing; each of its groups of one label becomes an instance."""
        first, number = max(self.instances, default=0) + 1, max(self.things, default=-1) + 1
        known: dict[tuple[str, str], int] = {}
        for piece in thing.moved(x, y, z, yaw):
            key = (piece.group, piece.label.partition("/")[0])
            self.instances.append(known.setdefault(key, first + len(known)))
            self.things.append(number)
            self.pieces.append(piece)
