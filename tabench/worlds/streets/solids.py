"""Pieces that lean: boxes, tubes and balls turned about the axes of the thing they belong to."""

from __future__ import annotations

import numpy as np

from tabench.worlds.scenes.dice import Floats
from tabench.worlds.scenes.materials import Material
from tabench.worlds.scenes.shapes import BALL, BOX, CYLINDER, Shape
from tabench.worlds.scenes.thing import Piece, Thing

Triple = tuple[float, float, float]


def pitched(angle: float) -> Floats:
    """Rotation about x (3, 3): positive angles tip the top towards -y, the back of a thing."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def leaning_box(
    thing: Thing, centre: Triple, size: Triple, pitch: float, material: Material, *, label: str | None = None
) -> None:
    """Add a box by its centre and full size, pitched."""
    shape = Shape(BOX, np.array(centre), pitched(pitch), np.array(size) / 2)
    thing.pieces.append(Piece(shape, label or thing.label, material))


def limb(
    thing: Thing,
    start: Triple,
    end: Triple,
    thick: float,
    material: Material,
    *,
    label: str | None = None,
    group: str = "",
    round_: bool = False,
) -> None:
    """Add a tube (or an ellipsoid, if `round_`) of a diameter between two points."""
    a, b = np.array(start, dtype=np.float64), np.array(end, dtype=np.float64)
    length = float(np.linalg.norm(b - a))
    along = (b - a) / length
    aside = np.array([0.0, 1.0, 0.0]) if abs(along[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    first = np.cross(aside, along)
    first /= np.linalg.norm(first)
    axes = np.stack([first, np.cross(along, first), along], axis=1)
    half = np.array([thick / 2, thick / 2, length / 2])
    shape = Shape(BALL if round_ else CYLINDER, (a + b) / 2, axes, half)
    thing.pieces.append(Piece(shape, label or thing.label, material, group))
