"""Textures of streets, beside those of rooms: road, walls with windows, shops, leaves."""

from __future__ import annotations

import numpy as np

from tabench.worlds.scenes.dice import Floats
from tabench.worlds.scenes.materials import Material, linear
from tabench.worlds.scenes.noise import value_noise
from tabench.worlds.scenes.patterns import PATTERNS as OF_ROOMS
from tabench.worlds.scenes.patterns import Pattern, Spots, along_face, blend, cell_values, fade_out

GLASS = np.array([0.035, 0.045, 0.055])
STOREY = 3.1  # metres
_LINE = 0.13  # half width of a road marking in metres


def asphalt(m: Material, s: Spots) -> Floats:
    """Grey with streaks and patches and, where `scale` is a lane's width, dashed lines between lanes."""
    x, y = s.points[:, 0], s.points[:, 1]
    fine = (value_noise(s.points / 0.05, m.seed) - 0.5) * fade_out(0.05, s.pixel)
    slow = value_noise(s.points * np.array([0.5, 0.07, 1.0]), m.seed + 1)
    patch = cell_values(x / 2.7, y / 9.0, m.seed + 2) > 0.9
    colour = blend(m, 0.5 * slow + 0.25 * fine + 0.25 * patch + 0.1)
    if m.scale <= 0.5:
        return colour
    lanes = round(2.0 * s.half[0] / m.scale)
    place = (x + s.half[0]) / m.scale
    nearest = np.rint(place)
    off = np.abs(place - nearest) * m.scale
    inner = (nearest > 0.5) & (nearest < lanes - 0.5)
    dashed = np.floor(y / 3.0) % 2 == 0
    worn = 0.55 + 0.45 * value_noise(s.points / 0.6, m.seed + 3)
    paint = ((off < _LINE) & inner & dashed) * worn * fade_out(2 * _LINE, 0.4 * s.pixel)
    return np.asarray(colour + paint[:, None] * (0.6 - colour))


def slabs(m: Material, s: Spots) -> Floats:
    """Paving: stones of slightly different tones with joints; the kerb's edge is paler."""
    x, y = s.points[:, 0] / m.scale, s.points[:, 1] / m.scale
    fade = fade_out(m.scale, s.pixel)
    tone = 0.5 + (cell_values(x, y, m.seed) - 0.5) * fade
    joint = (np.maximum(np.abs(x % 1 - 0.5), np.abs(y % 1 - 0.5)) > 0.46) * fade
    kerb = (np.abs(s.points[:, 0]) > s.half[0] - 0.16) | (s.normals[:, 2] < 0.5)
    colour = blend(m, 0.6 * tone + 0.4 * value_noise(s.points / 1.5, m.seed + 1))
    return np.where(kerb[:, None], 1.15 * colour + 0.02, colour * (1.0 - 0.3 * joint)[:, None])


def grass(m: Material, s: Spots) -> Floats:
    """Blades over slow patches."""
    fine = 0.5 + (value_noise(s.points / 0.06, m.seed) - 0.5) * fade_out(0.06, s.pixel)
    return blend(m, 0.5 * fine + 0.5 * value_noise(s.points / 1.8, m.seed + 1))


def leaves(m: Material, s: Spots) -> Floats:
    """Clumps of leaves: bright tips over dark gaps, darker below."""
    clump = value_noise(s.points / 0.45, m.seed)
    leaf = 0.5 + (value_noise(s.points / 0.13, m.seed + 1) - 0.5) * fade_out(0.13, s.pixel)
    weight = np.clip(1.6 * (0.6 * clump + 0.4 * leaf) - 0.35, 0.0, 1.0)
    return blend(m, weight) * (0.75 + 0.25 * s.unit[:, 2])[:, None]


def bark(m: Material, s: Spots) -> Floats:
    """Upright streaks."""
    return blend(m, value_noise(s.points * np.array([18.0, 18.0, 2.0]), m.seed))


def bricks(m: Material, s: Spots) -> Floats:
    """Courses of bricks with pale joints."""
    u, v = along_face(s)
    row = np.floor(v / 0.08)
    along = u / 0.24 + 0.5 * (row % 2)
    fade = fade_out(0.16, s.pixel)
    tone = 0.5 + (cell_values(along, row, m.seed) - 0.5) * fade
    joint = ((np.abs(along % 1 - 0.5) > 0.46) | (np.abs(v / 0.08 - row - 0.5) > 0.42)) * fade
    colour = blend(m, 0.6 * tone + 0.4 * value_noise(s.points / 1.2, m.seed + 1))
    return colour + 0.35 * joint[:, None] * (0.45 - colour)


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
    tint = np.stack([cell_values(slot, slot * 0 + k, m.seed) for k in range(3)], axis=-1)
    letters = board & (np.abs(v - 0.86) < 0.05) & (cell_values(u / 0.22, u * 0, m.seed + 4) > 0.45)
    letters &= np.abs(slot % 1 - 0.5) < 0.33
    goods = 0.55 * np.stack([cell_values(u / 0.35, v * 7, m.seed + 7 + k) for k in range(3)], axis=-1) ** 2
    glass = np.where(((v > 0.2) & (v < 0.5))[:, None], 0.5 * goods + GLASS, GLASS + 0.05 * v[:, None])
    wall = _wall(m, s)
    colour = np.where(((v > 0.12) & (v < 0.74) & ~pier)[:, None], glass, wall)
    colour = np.where(board[:, None], 0.08 + 0.5 * tint**2, colour)
    colour = np.where(letters[:, None], 0.75, colour)
    fade = fade_out(0.9, s.pixel)[:, None]
    return 0.12 + (colour - 0.12) * fade


def livery(m: Material, s: Spots) -> Floats:
    """A bus's side: a dark band of windows between bodies of two colours."""
    u, _ = along_face(s)
    v = s.unit[:, 2]
    post = np.abs((u / 1.4) % 1 - 0.5) > 0.46
    glass = (v > -0.05) & (v < 0.72) & ~post
    colour = np.where((v < -0.55)[:, None], linear(m.second), linear(m.colour))
    return np.where(glass[:, None], GLASS + 0.03 * (v[:, None] + 1.0), colour)


def stripes_across(m: Material, s: Spots) -> Floats:
    """A pedestrian crossing: worn white bars along the road."""
    bar = (s.points[:, 0] / m.scale) % 1 < 0.5
    worn = 0.6 + 0.4 * value_noise(s.points / 0.4, m.seed)
    weight = 0.5 + (bar * worn - 0.5) * fade_out(m.scale * 0.5, 0.5 * s.pixel)
    return blend(m, weight)


PATTERNS: dict[str, Pattern] = {
    **OF_ROOMS,
    "asphalt": asphalt,
    "slabs": slabs,
    "grass": grass,
    "leaves": leaves,
    "bark": bark,
    "bricks": bricks,
    "facade": facade,
    "shopfront": shopfront,
    "livery": livery,
    "crossing": stripes_across,
}
