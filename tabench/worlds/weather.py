"""Sun, sky and haze of the outdoors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabench.worlds.dice import Dice, Floats
from tabench.worlds.patterns import value_noise


@dataclass(frozen=True, eq=False)
class Weather:
    """What lights the outdoors; colours are linear."""

    sun: Floats  # (3,) unit direction to the sun
    power: Floats  # (3,) light of the sun on a surface that faces it
    sky: Floats  # (3,) light of the whole sky on level ground
    zenith: Floats  # (3,) colour of the sky overhead
    horizon: Floats  # (3,) colour of the sky at the horizon, and of the haze
    clouds: float  # share of the sky that is clouded, 0..1
    sight: float  # metres over which haze takes all but 1/e of a colour
    seed: int  # seed of the clouds


# Ranges of the sun's power, the sky's light, zenith and horizon, ranges of clouds and of sight.
_WEATHERS = (
    ((1.6, 2.6), (0.4, 0.46, 0.55), (0.18, 0.36, 0.72), (0.62, 0.76, 0.95), (0.0, 0.7), (500, 2000)),
    ((0.5, 1.1), (0.71, 0.74, 0.75), (0.7, 0.72, 0.74), (0.88, 0.9, 0.92), (0.5, 0.5), (150, 350)),
    ((0.06, 0.06), (0.9, 0.93, 0.95), (0.73, 0.77, 0.81), (0.86, 0.9, 0.95), (1.0, 1.0), (300, 1200)),
)


def sample_weather(dice: Dice) -> Weather:
    """Sunny, hazy or overcast."""
    power, sky, zenith, horizon, clouds, sight = dice.pick([_WEATHERS[k] for k in (0, 0, 1, 2, 2)])
    high, turn = np.radians(dice.uniform(18, 58)), dice.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(high) * np.cos(turn), np.cos(high) * np.sin(turn), np.sin(high)])
    warm = dice.uniform(*power) * np.array([1.06, 0.98, dice.uniform(0.78, 0.92)])
    above, low = dice.uniform(0.85, 1.1) * np.array([zenith, horizon])
    far, seed = dice.uniform(*sight), dice.integer(0, 2**31 - 1)
    return Weather(sun, warm, np.array(sky), above, low, dice.uniform(*clouds), far, seed)


def sky_light(weather: Weather, way: Floats) -> Floats:
    """Linear light (n, 3) from the sky in unit directions (n, 3): gradient, clouds, glow of the sun."""
    height = np.clip(way[:, 2], 0.0, 1.0)
    colour = weather.horizon + (weather.zenith - weather.horizon) * (height**0.45)[:, None]
    places = way * [0.5, 0.5, 0.0] / np.maximum(height, 0.02)[:, None]
    cover = 0.6 * value_noise(places, weather.seed) + 0.4 * value_noise(places * 2.7, weather.seed + 1)
    cloud = np.clip((cover - (1.0 - weather.clouds) * 0.8) * 2.5, 0.0, 0.85) * np.clip(height * 12, 0, 1)
    bright = 0.8 + 0.3 * cover
    colour = colour + cloud[:, None] * (bright[:, None] * weather.horizon.max() - colour)
    glow = np.maximum(way @ weather.sun, 0.0) ** 24
    return np.asarray(colour + 0.4 * glow[:, None] * weather.power)


def hazed(weather: Weather, light: Floats, depth: Floats) -> Floats:
    """Light (n, 3) after its way through the air, `depth` (n,) metres."""
    left = np.exp(-depth / weather.sight)[:, None]
    return light * left + weather.horizon * (1.0 - left)
