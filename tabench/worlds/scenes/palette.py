"""Colours that rooms are painted in (sRGB 0..1)."""

from __future__ import annotations

from tabench.worlds.scenes.dice import Dice

Colour = tuple[float, float, float]

WALLS: tuple[Colour, ...] = (
    (0.93, 0.91, 0.86),
    (0.88, 0.84, 0.75),
    (0.80, 0.84, 0.86),
    (0.82, 0.86, 0.79),
    (0.90, 0.83, 0.74),
    (0.78, 0.76, 0.73),
    (0.86, 0.78, 0.66),
    (0.70, 0.77, 0.80),
    (0.92, 0.88, 0.70),
    (0.72, 0.52, 0.44),
    (0.55, 0.64, 0.60),
)
WOODS: tuple[Colour, ...] = (
    (0.45, 0.27, 0.15),
    (0.60, 0.40, 0.23),
    (0.72, 0.53, 0.33),
    (0.33, 0.20, 0.13),
    (0.80, 0.65, 0.45),
    (0.52, 0.30, 0.18),
    (0.24, 0.17, 0.14),
)
PAINTS: tuple[Colour, ...] = ((0.92, 0.92, 0.90), (0.85, 0.83, 0.78), (0.25, 0.25, 0.27), (0.55, 0.60, 0.62))
FABRICS: tuple[Colour, ...] = (
    (0.55, 0.20, 0.18),
    (0.22, 0.30, 0.45),
    (0.35, 0.42, 0.30),
    (0.62, 0.55, 0.45),
    (0.40, 0.38, 0.38),
    (0.78, 0.72, 0.62),
    (0.30, 0.22, 0.18),
    (0.60, 0.42, 0.20),
    (0.45, 0.52, 0.58),
    (0.20, 0.20, 0.22),
)
LINENS: tuple[Colour, ...] = (
    (0.92, 0.91, 0.89),
    (0.85, 0.80, 0.72),
    (0.70, 0.78, 0.86),
    (0.86, 0.70, 0.68),
    (0.45, 0.30, 0.40),
    (0.30, 0.38, 0.52),
    (0.75, 0.68, 0.45),
)
CARPETS: tuple[Colour, ...] = (
    (0.62, 0.56, 0.47),
    (0.50, 0.50, 0.50),
    (0.42, 0.34, 0.30),
    (0.70, 0.65, 0.58),
    (0.38, 0.42, 0.48),
)
ACCENTS: tuple[Colour, ...] = (
    (0.80, 0.18, 0.15),
    (0.15, 0.35, 0.65),
    (0.90, 0.75, 0.20),
    (0.20, 0.50, 0.30),
    (0.85, 0.45, 0.15),
    (0.92, 0.92, 0.92),
    (0.15, 0.15, 0.17),
    (0.50, 0.25, 0.50),
    (0.30, 0.62, 0.65),
)


def darker(colour: Colour, factor: float) -> Colour:
    """A colour times a factor."""
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def shade(dice: Dice, options: tuple[Colour, ...], spread: float = 0.06) -> Colour:
    """One of the colours, a little lighter or darker and off in hue."""
    base, level = dice.pick(options), dice.uniform(-spread, spread)
    r, g, b = (min(max(c + level + dice.uniform(-spread, spread) / 3, 0.02), 0.97) for c in base)
    return r, g, b
