"""Primitives and their intersection with rays.

A shape is an affine image of a unit solid: the cube [-1, 1]^3, the unit ball, or the
cylinder of radius 1 around z in -1..1; cubes and cylinders may taper towards z = 1. Rays
are moved into that frame, where the ray parameter stays what it was.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TypeVar

import numpy as np

from tabench.worlds.dice import Floats

BOX, BALL, CYLINDER = 0, 1, 2
Tapers = TypeVar("Tapers", float, Floats)
_TINY = 1e-12
_CORNERS = np.array(list(product((-1.0, 1.0), repeat=3)))


@dataclass(frozen=True, eq=False)
class Shape:
    """One primitive."""

    kind: int  # BOX, BALL or CYLINDER
    centre: Floats  # (3,) metres
    axes: Floats  # (3, 3), local axes as columns, orthonormal
    half: Floats  # (3,) half extents in metres along the local axes
    taper: float = 1.0  # width of a box or cylinder at its upper end as a share of the lower, 0 < taper <= 1

    def corners(self) -> Floats:
        """(8, 3) corners of the bounding box."""
        return self.centre + (_CORNERS * self.half) @ self.axes.T

    def moved(self, turn: Floats, shift: Floats) -> Shape:
        """The shape after p -> turn @ p + shift."""
        return Shape(self.kind, turn @ self.centre + shift, turn @ self.axes, self.half, self.taper)


def dot(a: Floats, b: Floats) -> Floats:
    """Row-wise scalar product, (..., k) with (..., k) -> (...)."""
    return np.asarray(np.einsum("...i,...i->...", a, b))


def yaw_matrix(yaw: float) -> Floats:
    """Rotation about the vertical z axis (3, 3)."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])


def pitch_matrix(angle: float) -> Floats:
    """Rotation about x (3, 3): positive angles tip the top towards -y, the back of a thing."""
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[1.0, 0.0, 0.0], [0.0, c, -s], [0.0, s, c]])


def entry(shape: Shape, origins: Floats, directions: Floats) -> Floats:
    """Ray parameter (n,) where rays first meet a shape from outside, in units of the direction's length.

    Origins are (3,) or (n, 3), directions (n, 3). It is inf for a miss, a shape behind the origin, and for
    origins inside the shape.
    """
    scale = shape.axes / shape.half
    o = (origins - shape.centre) @ scale
    d = directions @ scale
    if shape.kind == BALL:
        near, far = _quadratic(dot(d, d), dot(o, d), dot(o, o) - 1.0)
    elif shape.kind == CYLINDER:
        near, far = _cone(o, d, *_slope(shape.taper))
    else:
        near, far = _slabs(o, d) if shape.taper == 1.0 else _frustum(o, d, *_slope(shape.taper))
    return np.where((near < far) & (near > 0.0), near, np.inf)


def _slabs(o: Floats, d: Floats) -> tuple[Floats, Floats]:
    inverse = 1.0 / np.where(np.abs(d) < _TINY, _TINY, d)
    low, high = (-1.0 - o) * inverse, (1.0 - o) * inverse
    first, last = np.minimum(low, high), np.maximum(low, high)
    near, far = first[..., 0], last[..., 0]
    for axis in range(1, first.shape[-1]):
        near, far = np.maximum(near, first[..., axis]), np.minimum(far, last[..., axis])
    return near, far


def _quadratic(a: Floats, b: Floats, c: Floats) -> tuple[Floats, Floats]:
    a = np.maximum(a, _TINY)
    root = np.sqrt(np.maximum(b * b - a * c, 0.0))
    miss = b * b < a * c
    return np.where(miss, np.inf, (-b - root) / a), np.where(miss, -np.inf, (-b + root) / a)


def _slope(taper: Tapers) -> tuple[Tapers, Tapers]:
    """Width at z = 0 and its growth with z of a unit solid that tapers from 1 to `taper`."""
    return (taper + 1.0) / 2.0, (taper - 1.0) / 2.0


def _frustum(o: Floats, d: Floats, middle: float, growth: float) -> tuple[Floats, Floats]:
    near, far = _slabs(o[..., 2:], d[..., 2:])
    for axis in (0, 1):
        for sign in (-1.0, 1.0):
            level = sign * o[..., axis] - middle - growth * o[..., 2]
            rate = sign * d[..., axis] - growth * d[..., 2]
            rate = np.where(np.abs(rate) < _TINY, _TINY, rate)
            at = -level / rate
            near = np.where(rate < 0.0, np.maximum(near, at), near)
            far = np.where(rate > 0.0, np.minimum(far, at), far)
    return near, far


def _cone(o: Floats, d: Floats, middle: float, growth: float) -> tuple[Floats, Floats]:
    o2, d2 = o[..., :2], d[..., :2]
    radius, rate = middle + growth * o[..., 2], growth * d[..., 2]
    a, b, c = dot(d2, d2) - rate * rate, dot(o2, d2) - radius * rate, dot(o2, o2) - radius * radius
    near, far = _quadratic(a, b, c)
    # a ray steeper than the side is inside one half of the double cone before or after all its roots
    steep = (a < _TINY) & (growth != 0.0)
    if steep.any():
        flat = np.where(steep & (a > -_TINY), -_TINY, a)
        root = np.sqrt(np.maximum(b * b - flat * c, 0.0))
        first, last = (-b + root) / flat, (-b - root) / flat
        near = np.where(steep, np.where(rate < 0.0, -np.inf, last), near)
        far = np.where(steep, np.where(rate < 0.0, first, np.inf), far)
    caps_near, caps_far = _slabs(o[..., 2:], d[..., 2:])
    return np.maximum(near, caps_near), np.minimum(far, caps_far)


def local_normals(kinds: Floats, points: Floats, halves: Floats, tapers: Floats) -> Floats:
    """Outward unit normals (n, 3) in the shapes' frames.

    Of the shapes that points lie on: kinds (n,), the points (n, 3) in unit coordinates of that shape, half
    extents (n, 3) and tapers (n,).
    """
    middle, growth = _slope(tapers)
    lean = np.zeros_like(points)
    lean[:, 2] = -growth
    width = np.maximum(middle + growth * points[:, 2], _TINY)
    scaled = points / np.stack([width, width, np.ones_like(width)], axis=-1)
    face = np.abs(scaled).argmax(-1)
    rows = np.arange(len(points))
    flat = np.zeros_like(points)
    flat[rows, face] = np.sign(scaled[rows, face])
    flat += lean * (face < 2)[:, None]
    cap = np.abs(points[:, 2]) >= np.hypot(scaled[:, 0], scaled[:, 1])
    side = scaled * np.array([1.0, 1.0, 0.0]) + lean
    lid = np.zeros_like(points)
    lid[:, 2] = np.sign(points[:, 2])
    tube = np.where(cap[:, None], lid, side)
    kind = kinds[:, None]
    normal = np.where(kind == BOX, flat, np.where(kind == BALL, points, tube)) / halves
    return np.asarray(normal / np.linalg.norm(normal, axis=-1, keepdims=True))
