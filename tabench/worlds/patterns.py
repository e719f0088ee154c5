"""Procedural textures: points on a surface to linear colours, over a hash of whole coordinates.

Detail finer than a pixel fades into its mean, which keeps far floors calm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from tabench.worlds.dice import Floats
from tabench.worlds.surfaces import Material, linear

STOREY = 3.1  # metres
GLASS = np.array([0.035, 0.045, 0.055])
_LINE = 0.13  # half width of a road marking in metres
_PRIMES = np.array([0x9E3779B1, 0x85EBCA77, 0xC2B2AE3D], dtype=np.uint32)
_SALT = 0x27D4EB2F


@dataclass(frozen=True, eq=False)
class Spots:
    """Points on one shape, all in its own frame."""

    points: Floats  # (n, 3) metres
    unit: Floats  # (n, 3) points divided by the half extents
    normals: Floats  # (n, 3) unit vectors
    pixel: Floats  # (n,) size of a pixel on the surface in metres
    half: Floats  # (3,) half extents in metres


Pattern = Callable[[Material, Spots], Floats]


def lattice_hash(cells: npt.NDArray[np.int64], seed: int) -> Floats:
    """A number in [0, 1) for each row of whole coordinates (n, 3)."""
    c = cells.astype(np.uint32) * _PRIMES
    return _mixed(c[:, 0] ^ c[:, 1] ^ c[:, 2], seed)


def value_noise(points: Floats, seed: int) -> Floats:
    """Smooth noise in [0, 1) with a period of about one unit, (n, 3) -> (n,)."""
    base = np.floor(points)
    f = points - base
    f = f * f * (3.0 - 2.0 * f)
    low = base.astype(np.int64).astype(np.uint32) * _PRIMES
    cells, weights, total = (low, low + _PRIMES), (1.0 - f, f), np.zeros(len(points))
    for i, j, k in product((0, 1), repeat=3):
        weight = weights[i][:, 0] * weights[j][:, 1] * weights[k][:, 2]
        total += weight * _mixed(cells[i][:, 0] ^ cells[j][:, 1] ^ cells[k][:, 2], seed)
    return total


def _mixed(h: npt.NDArray[np.uint32], seed: int) -> Floats:
    h = h ^ np.uint32(seed * _SALT & 0xFFFFFFFF)
    h = (h ^ (h >> np.uint32(15))) * np.uint32(0x2C1B3C6D)
    h = (h ^ (h >> np.uint32(12))) * np.uint32(0x297A2D39)
    return np.asarray((h ^ (h >> np.uint32(15))) * (1.0 / 4294967296.0))


def blend(m: Material, weight: Floats) -> Floats:
    """Linear colours between the first (weight 0) and the second."""
    a, b = linear(m.colour), linear(m.second)
    return a + weight[:, None] * (b - a)


def fade_out(period: float, pixel: Floats) -> Floats:
    """1 where a detail of this size in metres is drawn, 0 where a pixel covers it."""
    return np.clip(1.5 - 2.0 * pixel / period, 0.0, 1.0)


def detail(s: Spots, period: float, seed: int) -> Floats:
    """Noise in [0, 1) of a period in metres, which fades into 0.5 where a pixel covers it."""
    return 0.5 + (value_noise(s.points / period, seed) - 0.5) * fade_out(period, s.pixel)


def cell_values(x: Floats, y: Floats, seed: int) -> Floats:
    """A number in [0, 1) for each cell of a unit lattice."""
    whole = np.stack([np.floor(x), np.floor(y), np.zeros_like(x)], axis=-1).astype(np.int64)
    return lattice_hash(whole, seed)


def _tints(x: Floats, y: Floats, seed: int) -> Floats:
    """A colour (n, 3) for each cell of a unit lattice."""
    return np.stack([cell_values(x, y, seed + k) for k in range(3)], axis=-1)


def along_face(s: Spots) -> tuple[Floats, Floats]:
    """Two coordinates along the face a point lies on."""
    face = np.abs(s.normals).argmax(-1)
    u = np.where(face == 0, s.points[:, 1], s.points[:, 0])
    v = np.where(face == 2, s.points[:, 1], s.points[:, 2])
    return u, v


def _noisy(slow: float, much: float, fine: float, little: float) -> Pattern:
    """Two colours mixed by noise of a slow and a fine period in metres, in these shares."""

    def pattern(m: Material, s: Spots) -> Floats:
        weight = much * value_noise(s.points / slow, m.seed + 1)
        return blend(m, weight + little * detail(s, fine, m.seed) if little else weight)

    return pattern


def wood(m: Material, s: Spots) -> Floats:
    """Grain along the longest side of the shape."""
    stretch = np.full(3, 1 / 0.035)
    stretch[int(np.argmax(s.half))] = 1 / 0.6
    q = s.points * stretch
    rings = 0.5 + 0.5 * np.sin(6.0 * value_noise(q * 0.4, m.seed) + 2.5 * q.sum(-1) * 0.15)
    return blend(m, 0.5 * rings + 0.5 * (0.5 + (value_noise(q, m.seed + 1) - 0.5) * fade_out(0.03, s.pixel)))


def _laid(
    long: float,
    joint: float,
    tint: tuple[float, float],
    *,
    high: float = 0.0,
    shift: float = 0.0,
    chequered: bool = False,
    grain: tuple[float, float, float] = (1.5, 1.5, 1.5),
) -> Pattern:
    """Rows of stones, tiles or boards, each of its own tone or of two in turn, with joints between them.

    Lengths are in heights of a row, which is `high` metres or the material's scale: of a stone, and half a
    joint's. A joint is mixed with the first of `tint` by the second. Odd rows are shifted by a share of a
    stone, or every row at random above 1. `grain` holds the frequencies of the noise along the axes.
    """

    def pattern(m: Material, s: Spots) -> Floats:
        size = high or m.scale
        u, v = along_face(s)
        up = v / size
        row = np.floor(up)
        along = u / (long * size) + (cell_values(row, row * 0, m.seed) if shift > 1 else row % 2) * shift
        tone = (np.floor(along) + row) % 2 if chequered else cell_values(along, row, m.seed + 1)
        edge = np.minimum((0.5 - np.abs(along % 1 - 0.5)) * long, 0.5 - np.abs(up - row - 0.5)) < joint
        fade = fade_out(size, s.pixel)
        noise = value_noise(s.points * np.array(grain), m.seed + 2) - 0.5
        colour = blend(m, 0.5 + (tone - 0.5) * fade * (1.0 if chequered else 0.6) + 0.35 * noise)
        return colour + (tint[1] * edge * fade)[:, None] * (tint[0] - colour)

    return pattern


planks = _laid(9.0, 0.03, (0.0, 0.5), shift=1.3, grain=(1.5, 25.0, 1.0))
tiles = _laid(1.0, 0.02, (0.0, 0.25), chequered=True, grain=(5.0, 5.0, 5.0))
bricks = _laid(3.0, 0.1, (0.45, 0.35), high=0.08, shift=0.5)
_paving = _laid(1.0, 0.04, (0.0, 0.3))


def slabs(m: Material, s: Spots) -> Floats:
    """Paving; the kerb's edge is paler."""
    kerb = (np.abs(s.points[:, 0]) > s.half[0] - 0.16) | (s.normals[:, 2] < 0.5)
    return np.where(kerb[:, None], 1.15 * blend(m, 0.5 + 0 * s.pixel) + 0.02, _paving(m, s))


def _printed(mean: float, motif: Callable[[Floats, Floats], npt.NDArray[Any]]) -> Pattern:
    """Cloth or paper: a motif of weights over a unit square, repeated, of a mean weight."""

    def pattern(m: Material, s: Spots) -> Floats:
        u, v = (c / m.scale % 1 - 0.5 for c in along_face(s))
        return blend(m, mean + (motif(u, v) - mean) * fade_out(m.scale * 0.5, s.pixel))

    return pattern


stripes = _printed(0.5, lambda u, v: 1.0 * (np.abs(u) < 0.25))
plaid = _printed(0.35, lambda u, v: 0.5 * (np.abs(u) < 0.2) + 0.5 * (np.abs(v) < 0.2))
dots = _printed(0.28, lambda u, v: 1.0 * (np.hypot(u, v) < 0.3))


def spines(m: Material, s: Spots) -> Floats:
    """A row of books: one colour a spine, with a pale title."""
    slot = s.points[:, 0] / m.scale
    slot = slot + 0.35 * np.sin(slot * 1.7)
    whole = np.floor(slot)
    tint = _tints(whole, whole * 0, m.seed)
    colour = (0.08 + 0.62 * tint**1.5) * (0.4 + 0.9 * cell_values(whole, whole * 0 + 3, m.seed))[:, None]
    gap = np.abs(slot - whole - 0.5) > 0.44
    title = (np.abs(s.unit[:, 2] - 0.35) < 0.12) & (cell_values(whole, whole * 0 + 4, m.seed) > 0.5) & ~gap
    colour = np.where(title[:, None], 0.6, colour) * (1.0 - 0.7 * gap)[:, None]
    paper = (s.normals[:, 2] > 0.7)[:, None]
    fade = fade_out(m.scale, s.pixel)[:, None]
    return np.where(paper, 0.55, 0.16 + (colour - 0.16) * fade)


def painting(m: Material, s: Spots) -> Floats:
    """Blocks of colour, or rings; the seed decides."""
    x, y = s.unit[:, 0], s.unit[:, 2]
    if m.seed % 2:
        tint = _tints(x * 2.2 + 5, y * 1.7 + 5, m.seed)
        return 0.5 * tint + 0.5 * blend(m, tint[:, 0])
    return blend(m, 0.5 + 0.5 * np.sin(9 * np.hypot(x - 0.2, y + 0.1) + 4 * value_noise(s.unit * 2, m.seed)))


def outdoors(m: Material, s: Spots) -> Floats:
    """The view through a window: bright sky, trees below."""
    x, y = s.points[:, 0], s.unit[:, 2]
    crown = -0.5 + 0.9 * (value_noise(np.stack([x * 3, x * 0, x * 0], -1), m.seed) - 0.35)
    leaves = value_noise(s.points * 14, m.seed + 1)[:, None] * np.array([0.28, 0.38, 0.2])
    sky = linear(m.colour) * (0.8 + 0.2 * y)[:, None]
    return np.where((y < crown)[:, None], leaves + 0.08, sky)


def asphalt(m: Material, s: Spots) -> Floats:
    """Grey with streaks and, where `scale` is a lane's width, dashed lines between lanes."""
    x, y = s.points[:, 0], s.points[:, 1]
    slow = value_noise(s.points * np.array([0.5, 0.07, 1.0]), m.seed + 1)
    patch = cell_values(x / 2.7, y / 9.0, m.seed + 2) > 0.9
    colour = blend(m, 0.5 * slow + 0.25 * detail(s, 0.05, m.seed) + 0.25 * patch)
    if m.scale <= 0.5:
        return colour
    place = (x + s.half[0]) / m.scale
    nearest = np.rint(place)
    inner = (nearest > 0.5) & (nearest < round(2.0 * s.half[0] / m.scale) - 0.5)
    drawn = inner & (np.abs(place - nearest) * m.scale < _LINE) & (np.floor(y / 3.0) % 2 == 0)
    worn = 0.55 + 0.45 * value_noise(s.points / 0.6, m.seed + 3)
    paint = drawn * worn * fade_out(2 * _LINE, 0.4 * s.pixel)
    return np.asarray(colour + paint[:, None] * (0.6 - colour))


def leaves(m: Material, s: Spots) -> Floats:
    """Clumps of leaves: bright tips over dark gaps, darker below."""
    clump = value_noise(s.points / 0.45, m.seed)
    leaf = detail(s, 0.13, m.seed + 1)
    weight = np.clip(1.6 * (0.6 * clump + 0.4 * leaf) - 0.35, 0.0, 1.0)
    return blend(m, weight) * (0.75 + 0.25 * s.unit[:, 2])[:, None]


def _wall(m: Material, s: Spots) -> Floats:
    if m.seed % 3 == 0:
        return bricks(m, s)
    stain = value_noise(s.points * np.array([1.0, 1.0, 0.35]), m.seed + 5)
    return linear(m.colour) * (0.88 + 0.24 * stain)[:, None]


def _panes(u: Floats, v: Floats, seed: int) -> Floats:
    """Colours behind glass (n, 3): dark rooms, curtains, sky in some."""
    kind = cell_values(u, v, seed)
    curtain = (kind > 0.55) & (np.abs(u % 1 - 0.5) > 0.25 - 0.2 * (kind > 0.8))
    sky = (kind < 0.22)[:, None] * np.array([0.16, 0.2, 0.26])
    return np.where(curtain[:, None], 0.42 * np.array([1.0, 0.96, 0.88]), GLASS + sky)


def facade(m: Material, s: Spots) -> Floats:
    """A wall with rows of framed windows `scale` metres apart, a door now and then, and a plinth."""
    u, v = along_face(s)
    v = v + s.half[2]
    cell_u, cell_v = u / m.scale, v / STOREY
    across, up = (cell_u % 1 - 0.5) * m.scale, (cell_v % 1) * STOREY
    wide = (0.24 + 0.12 * (m.seed % 7) / 6) * m.scale
    door = (cell_v < 1) & (cell_values(cell_u, cell_v * 0, m.seed + 2) > 0.72)
    low = np.where(door, 0.0, 0.85 - 0.35 * (m.seed % 2))
    high = np.where(door, 2.3, 2.45)
    inside = (np.abs(across) < wide) & (up > low) & (up < high)
    frame = (np.abs(across) < wide + 0.11) & (up > low - 0.14) & (up < high + 0.12) & ~inside
    bar = inside & ((np.abs(across) < 0.035) | (np.abs(up - 1.9) < 0.03)) & ~door
    wood = linear(m.second) * 0.35 + 0.03
    pane = np.where(door[:, None], wood, _panes(cell_u, cell_v, m.seed + 1))
    colour = _wall(m, s)
    colour = np.where((v < 0.6)[:, None], 0.6 * colour, colour)
    colour = np.where((frame | bar)[:, None], linear(m.second), colour)
    drawn = np.where((inside & ~bar)[:, None], pane, colour)
    fade = fade_out(1.2, s.pixel)[:, None]
    far = 0.72 * linear(m.colour) + 0.28 * GLASS
    roof = (s.normals[:, 2] > 0.5)[:, None]
    return np.where(roof, 0.12, far + (drawn - far) * fade)


def shopfront(m: Material, s: Spots) -> Floats:
    """Wide panes between piers, goods behind them, and a coloured sign board above."""
    u, v = along_face(s)
    height = 2.0 * s.half[2]
    v = (v + s.half[2]) / height
    slot = u / m.scale
    pier = np.abs(slot % 1 - 0.5) > 0.44
    board = (v > 0.76) & (v < 0.96)
    tint = _tints(slot, slot * 0, m.seed)
    letters = board & (np.abs(v - 0.86) < 0.05) & (cell_values(u / 0.22, u * 0, m.seed + 4) > 0.45)
    letters &= np.abs(slot % 1 - 0.5) < 0.33
    goods = 0.55 * _tints(u / 0.35, v * 7, m.seed + 7) ** 2
    glass = np.where(((v > 0.2) & (v < 0.5))[:, None], 0.5 * goods + GLASS, GLASS + 0.05 * v[:, None])
    wall = _wall(m, s)
    colour = np.where(((v > 0.12) & (v < 0.74) & ~pier)[:, None], glass, wall)
    colour = np.where(board[:, None], 0.08 + 0.5 * tint**2, colour)
    colour = np.where(letters[:, None], 0.75, colour)
    fade = fade_out(0.9, s.pixel)[:, None]
    return 0.12 + (colour - 0.12) * fade


def crossing(m: Material, s: Spots) -> Floats:
    """A pedestrian crossing: worn white bars along the road."""
    bar = (s.points[:, 0] / m.scale) % 1 < 0.5
    worn = 0.6 + 0.4 * value_noise(s.points / 0.4, m.seed)
    weight = 0.5 + (bar * worn - 0.5) * fade_out(m.scale * 0.5, 0.5 * s.pixel)
    return blend(m, weight)


PATTERNS: dict[str, Pattern] = {
    "plain": _noisy(0.4, 0.12, 1.0, 0.0),
    "carpet": _noisy(0.5, 0.4, 0.02, 0.6),
    "fabric": _noisy(0.15, 0.45, 0.015, 0.35),
    "grass": _noisy(1.8, 0.5, 0.06, 0.5),
    "planks": planks,
    "tiles": tiles,
    "bricks": bricks,
    "stripes": stripes,
    "plaid": plaid,
    "dots": dots,
    **{
        pattern.__name__: pattern
        for pattern in (wood, slabs, spines, painting, outdoors, asphalt, leaves, facade, shopfront, crossing)
    },
}
