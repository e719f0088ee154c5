"""Slanted pieces of things: bones between two points, ellipsoids, tapered blocks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tabench.worlds.scenes.dice import Floats
from tabench.worlds.scenes.materials import Material
from tabench.worlds.scenes.shapes import BALL, BOX, CYLINDER, Shape
from tabench.worlds.scenes.thing import Piece, Thing

Point = Sequence[float] | Floats


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
        other = np.array([0.0, 1.0, 0.0])
        x = other - (other @ z) * z
    x = unit(x)
    return np.stack([x, np.cross(z, x), z], axis=1)


def bone(
    thing: Thing,
    start: Point,
    end: Point,
    radii: tuple[float, float],
    skin: Material,
    *,
    label: str | None = None,
    group: str = "",
    flat: float = 1.0,
    across: Point = (1.0, 0.0, 0.0),
    knob: bool = False,
    casts: bool = True,
) -> None:
    """Add a tapering rod from one point to another, in metres.

    Args:
        thing: What it becomes part of.
        start: One end of its axis.
        end: The other end.
        radii: Its radius at the start and at the end, along `across`.
        skin: Its surface.
        label: Its class; the thing's by default.
        group: Its instance inside the thing.
        flat: Depth of its cross-section as a share of its width.
        across: Direction of the cross-section's width.
        knob: Whether a ball closes the end, as a joint does.
        casts: Whether it throws shadows.
    """
    a, b = np.asarray(start, dtype=np.float64), np.asarray(end, dtype=np.float64)
    wide, narrow = radii
    if wide < narrow:
        low, high, wide, narrow = b, a, narrow, wide
    else:
        low, high = a, b
    length = float(np.linalg.norm(high - low))
    axes = frame(high - low, across)
    half = np.array([wide, wide * flat, max(length / 2, 1e-4)])
    shape = Shape(CYLINDER, (a + b) / 2, axes, half, max(narrow / wide, 0.02))
    thing.pieces.append(Piece(shape, label or thing.label, skin, group, casts))
    if knob:
        r = radii[1]
        ball = Shape(BALL, b, axes, np.array([r, r * flat, r]))
        thing.pieces.append(Piece(ball, label or thing.label, skin, group, casts))


def ellipsoid(
    thing: Thing,
    centre: Point,
    half: Point,
    skin: Material,
    *,
    label: str | None = None,
    group: str = "",
    axes: Floats | None = None,
    casts: bool = True,
) -> None:
    """Add an ellipsoid by its centre and half axes in metres."""
    _add(thing, BALL, centre, half, skin, label, group, axes, 1.0, casts)


def block(
    thing: Thing,
    centre: Point,
    half: Point,
    skin: Material,
    *,
    label: str | None = None,
    group: str = "",
    axes: Floats | None = None,
    taper: float = 1.0,
) -> None:
    """Add a box, narrowing along its local z, by its centre and half extents in metres."""
    _add(thing, BOX, centre, half, skin, label, group, axes, taper)


def wheel(
    thing: Thing, centre: Point, radius: float, width: float, skin: Material, *, label: str | None = None
) -> None:
    """Add a disc that rolls along y, its axle along x."""
    _add(
        thing,
        CYLINDER,
        centre,
        (radius, radius, width / 2),
        skin,
        label,
        "",
        frame((1, 0, 0), (0, 1, 0)),
        1.0,
    )


def _add(
    thing: Thing,
    kind: int,
    centre: Point,
    half: Point,
    skin: Material,
    label: str | None,
    group: str,
    axes: Floats | None,
    taper: float,
    casts: bool = True,
) -> None:
    shape = Shape(
        kind,
        np.asarray(centre, dtype=np.float64),
        np.eye(3) if axes is None else axes,
        np.asarray(half, dtype=np.float64),
        taper,
    )
    thing.pieces.append(Piece(shape, label or thing.label, skin, group, casts))
