"""Textures of the outdoors and of coats, beside those of the rooms."""

from __future__ import annotations

import numpy as np

from tabench.worlds.scenes.dice import Floats
from tabench.worlds.scenes.materials import Material, linear
from tabench.worlds.scenes.noise import value_noise
from tabench.worlds.scenes.patterns import PATTERNS as ROOM_PATTERNS
from tabench.worlds.scenes.patterns import Pattern, Spots, fade_out

SKY_GLOW = 50.0  # the sky shines by itself: its albedo is this much darker, so no shadow falls on it


def _blend(m: Material, weight: Floats) -> Floats:
    a, b = linear(m.colour), linear(m.second)
    return np.asarray(a + np.clip(weight, 0.0, 1.0)[:, None] * (b - a))


def _detail(s: Spots, period: float, seed: int) -> Floats:
    """Noise around 0 in -0.5..0.5, gone where a pixel is larger than its period."""
    return np.asarray((value_noise(s.points / period, seed) - 0.5) * fade_out(period, s.pixel))


def sky(m: Material, s: Spots) -> Floats:
    """From the horizon's colour to the zenith's, with clouds; `scale` is their share."""
    height = np.clip((s.points[:, 2] + s.half[2]) / 110.0, 0.0, 1.0)
    blue = _blend(m, np.sqrt(height))
    q = s.points / np.array([26.0, 26.0, 9.0])
    cloud = 0.6 * value_noise(q, m.seed) + 0.4 * value_noise(q * 2.3, m.seed + 1)
    cover = np.clip((cloud - 1.0 + m.scale) * 4.0, 0.0, 0.9)[:, None]
    return np.asarray((blue + cover * (0.85 - blue)) / SKY_GLOW)


def grass(m: Material, s: Spots) -> Floats:
    """Blades over patches."""
    patches = value_noise(s.points / 1.7, m.seed)
    return _blend(
        m, 0.15 + 0.5 * patches + 0.9 * _detail(s, 0.06, m.seed + 1) + 0.5 * _detail(s, 0.3, m.seed + 2)
    )


def foliage(m: Material, s: Spots) -> Floats:
    """Leaves, light and dark."""
    coarse = value_noise(s.points / 0.45, m.seed)
    return _blend(m, 0.1 + 0.8 * coarse + 0.8 * _detail(s, 0.12, m.seed + 1))


def gravel(m: Material, s: Spots) -> Floats:
    """Grain of asphalt, sand and concrete."""
    slow = value_noise(s.points / 1.3, m.seed)
    return _blend(m, 0.2 + 0.35 * slow + 0.6 * _detail(s, 0.035, m.seed + 1))


def water(m: Material, s: Spots) -> Floats:
    """Ripples, longer than they are deep, mirroring the sky more with distance."""
    q = s.points * np.array([0.7, 2.2, 1.0])
    waves = 0.5 + (value_noise(q, m.seed) - 0.5) * fade_out(1.2, s.pixel)
    fine = (value_noise(q * 4.0, m.seed + 1) - 0.5) * fade_out(0.25, s.pixel)
    far = np.clip((s.unit[:, 1] + 1.0) * 0.5, 0.0, 1.0)
    return _blend(m, 0.15 + 0.4 * waves + 0.5 * fine + 0.45 * far)


def facade(m: Material, s: Spots) -> Floats:
    """A wall with rows of windows; `scale` is their distance in metres."""
    face = np.abs(s.normals).argmax(-1)
    u = np.where(face == 0, s.points[:, 1], s.points[:, 0]) / m.scale
    v = (s.points[:, 2] + s.half[2]) / 2.9
    pane = (np.abs(u - np.floor(u) - 0.5) < 0.22) & (np.abs(v - np.floor(v) - 0.52) < 0.26) & (face < 2)
    dirt = 0.15 * value_noise(s.points / 2.0, m.seed)
    wall = linear(m.colour) * (0.95 - dirt)[:, None]
    glass = (
        np.array([0.05, 0.065, 0.08])
        + 0.08 * value_noise(np.stack([np.floor(u), np.floor(v), 0 * u], -1), m.seed)[:, None]
    )
    return np.where(pane[:, None], glass, wall)


def fur(m: Material, s: Spots) -> Floats:
    """Short hair with a faint grain."""
    grain = _detail(s, 0.02, m.seed) + _detail(s, 0.09, m.seed + 1)
    return np.asarray(linear(m.colour) * (1.0 + 0.45 * grain)[:, None])


def patches(m: Material, s: Spots) -> Floats:
    """Blotches of two colours with sharp edges."""
    level = value_noise(s.points / max(m.scale, 1e-3) + 3.7, m.seed)
    return _blend(m, 12.0 * (level - 0.5) + 0.5)


def tabby(m: Material, s: Spots) -> Floats:
    """Dark bands around the body."""
    along = int(np.argmax(s.half))
    wave = np.sin(s.points[:, along] * 170.0 + 5.0 * value_noise(s.points / 0.05, m.seed))
    dark = linear(m.colour) * 0.38
    return np.asarray(
        linear(m.colour)
        + (np.clip(wave, 0, 1) * fade_out(0.03, s.pixel) * 0.8)[:, None] * (dark - linear(m.colour))
    )


def wool(m: Material, s: Spots) -> Floats:
    """Curls."""
    curls = value_noise(s.points / 0.045, m.seed)
    return np.asarray(
        linear(m.colour) * (0.72 + 0.4 * (0.5 + (curls - 0.5) * fade_out(0.045, s.pixel)))[:, None]
    )


PATTERNS: dict[str, Pattern] = {
    **ROOM_PATTERNS,
    "sky": sky,
    "grass": grass,
    "foliage": foliage,
    "gravel": gravel,
    "water": water,
    "facade": facade,
    "fur": fur,
    "patches": patches,
    "tabby": tabby,
    "wool": wool,
}
