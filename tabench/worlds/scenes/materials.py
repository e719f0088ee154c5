"""Surfaces: a pattern, two colours and a gloss."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabench.worlds.scenes.dice import Dice, Floats
from tabench.worlds.scenes.palette import Colour, darker


@dataclass(frozen=True)
class Material:
    """How a surface looks.

    Attributes:
        pattern: A name of ``patterns.PATTERNS``.
        colour: Main colour, sRGB 0..1.
        second: The pattern's other colour.
        scale: Size of the pattern in metres.
        seed: Seed of its noise.
        gloss: Weight of the mirror-like highlight, 0..1.
        glow: Light given off, as a multiple of the colour.
    """

    pattern: str
    colour: Colour
    second: Colour = (0.5, 0.5, 0.5)
    scale: float = 0.1
    seed: int = 0
    gloss: float = 0.0
    glow: float = 0.0


def material(
    dice: Dice,
    pattern: str,
    colour: Colour,
    second: Colour | None = None,
    *,
    scale: float = 0.1,
    gloss: float = 0.0,
    glow: float = 0.0,
) -> Material:
    """A material with a noise seed of its own; the second colour defaults to a darker first."""
    second = second or darker(colour, 0.75)
    return Material(pattern, colour, second, scale, dice.integer(0, 2**31 - 1), gloss, glow)


def linear(colour: Colour) -> Floats:
    """SRGB 0..1 to linear light (3,)."""
    return np.asarray(colour, dtype=np.float64) ** 2.2
