"""Procedural textures: points on a surface to linear colours.

Detail finer than a pixel fades into its mean, which keeps far floors calm.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tabench.worlds.scenes.dice import Floats
from tabench.worlds.scenes.materials import Material, linear
from tabench.worlds.scenes.noise import lattice_hash, value_noise


@dataclass(frozen=True, eq=False)
class Spots:
    """Points on one shape, all in its own frame.

    Attributes:
        points: (n, 3) metres.
        unit: (n, 3) points divided by the half extents.
        normals: (n, 3) unit vectors.
        pixel: (n,) size of a pixel on the surface in metres.
        half: (3,) half extents in metres.
    """

    points: Floats
    unit: Floats
    normals: Floats
    pixel: Floats
    half: Floats


Pattern = Callable[[Material, Spots], Floats]


def blend(m: Material, weight: Floats) -> Floats:
    """Linear colours between the first (weight 0) and the second."""
    a, b = linear(m.colour), linear(m.second)
    return a + weight[:, None] * (b - a)


def fade_out(period: float, pixel: Floats) -> Floats:
    """1 where a detail of this size in metres is drawn, 0 where a pixel covers it."""
    return np.clip(1.5 - 2.0 * pixel / period, 0.0, 1.0)


def cell_values(x: Floats, y: Floats, seed: int) -> Floats:
    """A number in [0, 1) for each cell of a unit lattice."""
    whole = np.stack([np.floor(x), np.floor(y), np.zeros_like(x)], axis=-1).astype(np.int64)
    return lattice_hash(whole, seed)


def along_face(s: Spots) -> tuple[Floats, Floats]:
    """Two coordinates along the face a point lies on."""
    face = np.abs(s.normals).argmax(-1)
    u = np.where(face == 0, s.points[:, 1], s.points[:, 0])
    v = np.where(face == 2, s.points[:, 1], s.points[:, 2])
    return u, v


def plain(m: Material, s: Spots) -> Floats:
    """Paint with faint blotches."""
    return blend(m, 0.12 * value_noise(s.points / 0.4, m.seed))


def carpet(m: Material, s: Spots) -> Floats:
    """Pile: fine noise over slow blotches."""
    fine = 0.5 + (value_noise(s.points / 0.02, m.seed) - 0.5) * fade_out(0.02, s.pixel)
    return blend(m, 0.6 * fine + 0.4 * value_noise(s.points / 0.5, m.seed + 1))


def fabric(m: Material, s: Spots) -> Floats:
    """Soft folds and a weave."""
    weave = 0.5 + (value_noise(s.points / 0.015, m.seed) - 0.5) * fade_out(0.015, s.pixel)
    return blend(m, 0.45 * value_noise(s.points / 0.15, m.seed + 1) + 0.35 * weave)


def wood(m: Material, s: Spots) -> Floats:
    """Grain along the longest side of the shape."""
    stretch = np.full(3, 1 / 0.035)
    stretch[int(np.argmax(s.half))] = 1 / 0.6
    q = s.points * stretch
    rings = 0.5 + 0.5 * np.sin(6.0 * value_noise(q * 0.4, m.seed) + 2.5 * q.sum(-1) * 0.15)
    return blend(m, 0.5 * rings + 0.5 * (0.5 + (value_noise(q, m.seed + 1) - 0.5) * fade_out(0.03, s.pixel)))


def planks(m: Material, s: Spots) -> Floats:
    """Floor boards, each of its own tone, with dark joints."""
    width = m.scale
    row = np.floor(s.points[:, 1] / width)
    shift = cell_values(row, row * 0, m.seed) * 1.2
    along = (s.points[:, 0] + shift) / (width * 9)
    tone = cell_values(row, along, m.seed + 1)
    across = np.abs(s.points[:, 1] / width - row - 0.5) * 2
    joint = (across > 0.94) * fade_out(width * 0.3, s.pixel)
    grain = value_noise(s.points * np.array([1.5, 25.0, 1.0]), m.seed + 2)
    weight = 0.5 + (0.55 * tone + 0.35 * grain - 0.45) * fade_out(width, s.pixel)
    return blend(m, weight) * (1.0 - 0.5 * joint)[:, None]


def tiles(m: Material, s: Spots) -> Floats:
    """A chequerboard with joints."""
    u, v = along_face(s)
    u, v = u / m.scale, v / m.scale
    odd = (np.floor(u) + np.floor(v)) % 2
    edge = np.maximum(np.abs(u - np.floor(u) - 0.5), np.abs(v - np.floor(v) - 0.5)) > 0.48
    fade = fade_out(m.scale, s.pixel)
    colour = blend(m, 0.5 + (odd - 0.5) * fade + 0.1 * (value_noise(s.points / 0.2, m.seed) - 0.5))
    return colour * (1.0 - 0.25 * edge * fade)[:, None]


def stripes(m: Material, s: Spots) -> Floats:
    """Upright stripes of wallpaper or cloth."""
    u, _ = along_face(s)
    wave = np.clip(0.5 + 2.0 * np.sin(2 * np.pi * u / m.scale), 0, 1)
    return blend(m, 0.5 + (wave - 0.5) * fade_out(m.scale * 0.5, s.pixel))


def plaid(m: Material, s: Spots) -> Floats:
    """Crossing bands of cloth."""
    u, v = along_face(s)
    a = (np.sin(2 * np.pi * u / m.scale) > 0.3) * 0.5
    b = (np.sin(2 * np.pi * v / m.scale) > 0.3) * 0.5
    return blend(m, 0.35 + (a + b - 0.35) * fade_out(m.scale * 0.5, s.pixel))


def dots(m: Material, s: Spots) -> Floats:
    """Dots on a square lattice."""
    u, v = along_face(s)
    u, v = u / m.scale, v / m.scale
    near = np.hypot(u - np.floor(u) - 0.5, v - np.floor(v) - 0.5) < 0.3
    return blend(m, 0.28 + (near - 0.28) * fade_out(m.scale * 0.6, s.pixel))


def spines(m: Material, s: Spots) -> Floats:
    """A row of books: one colour a spine, with a pale title."""
    slot = s.points[:, 0] / m.scale
    slot = slot + 0.35 * np.sin(slot * 1.7)
    whole = np.floor(slot)
    tint = np.stack([cell_values(whole, whole * 0 + k, m.seed) for k in range(3)], axis=-1)
    colour = (0.08 + 0.62 * tint**1.5) * (0.4 + 0.9 * cell_values(whole, whole * 0 + 3, m.seed))[:, None]
    gap = np.abs(slot - whole - 0.5) > 0.44
    title = (np.abs(s.unit[:, 2] - 0.35) < 0.12) & (cell_values(whole, whole * 0 + 4, m.seed) > 0.5) & ~gap
    colour = np.where(title[:, None], 0.6, colour) * (1.0 - 0.7 * gap)[:, None]
    paper = (s.normals[:, 2] > 0.7)[:, None]
    fade = fade_out(m.scale, s.pixel)[:, None]
    return np.where(paper, 0.55, 0.16 + (colour - 0.16) * fade)


def painting(m: Material, s: Spots) -> Floats:
    """A landscape, blocks of colour, or rings; the seed decides."""
    x, y = s.unit[:, 0], s.unit[:, 2]
    style = m.seed % 3
    if style == 0:
        hill = 0.7 * (value_noise(np.stack([x * 2, x * 0, x * 0], -1), m.seed) - 0.6)
        sky = np.array([0.35, 0.5, 0.7]) + 0.35 * (1 - y[:, None]) / 2
        speckle = value_noise(s.unit * 9, m.seed + 1)[:, None]
        return np.where((y > hill)[:, None], sky, linear(m.colour) * (0.5 + speckle))
    if style == 1:
        u, v = x * 2.2 + 5, y * 1.7 + 5
        tint = np.stack([cell_values(u, v, m.seed + k) for k in range(3)], axis=-1)
        return 0.5 * tint + 0.5 * blend(m, tint[:, 0])
    wave = 0.5 + 0.5 * np.sin(9 * np.hypot(x - 0.2, y + 0.1) + 4 * value_noise(s.unit * 2, m.seed))
    return blend(m, wave)


def outdoors(m: Material, s: Spots) -> Floats:
    """The view through a window: bright sky, trees below."""
    x, y = s.points[:, 0], s.unit[:, 2]
    crown = -0.5 + 0.9 * (value_noise(np.stack([x * 3, x * 0, x * 0], -1), m.seed) - 0.35)
    leaves = value_noise(s.points * 14, m.seed + 1)[:, None] * np.array([0.28, 0.38, 0.2])
    sky = linear(m.colour) * (0.8 + 0.2 * y)[:, None]
    return np.where((y < crown)[:, None], leaves + 0.08, sky)


def screen(m: Material, s: Spots) -> Floats:
    """A dark screen with a pale reflection."""
    sheen = np.clip(s.unit[:, 2] + 0.6 * s.unit[:, 0] - 0.2, 0, 1)
    return linear(m.colour) + 0.04 * sheen[:, None]


PATTERNS: dict[str, Pattern] = {
    "plain": plain,
    "carpet": carpet,
    "fabric": fabric,
    "wood": wood,
    "planks": planks,
    "tiles": tiles,
    "stripes": stripes,
    "plaid": plaid,
    "dots": dots,
    "spines": spines,
    "painting": painting,
    "outdoors": outdoors,
    "screen": screen,
}
