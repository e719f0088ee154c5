"""Sun, sky and haze of the outdoors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabench.worlds.dice import Dice, Floats
from tabench.worlds.patterns import value_noise


@dataclass(frozen=True, eq=False)
class Weather:
    """What lights the outdoors."""

    sun: Floats  # (3,) unit direction to the sun
    power: Floats  # (3,) linear light of the sun on a surface that faces it
    sky: Floats  # (3,) linear light of the whole sky on level ground
    zenith: Floats  # (3,) linear colour of the sky overhead
    horizon: Floats  # (3,) linear colour of the sky at the horizon, and of the haze
    clouds: float  # share of the sky that is clouded, 0..1
    sight: float  # metres over which haze takes all but 1/e of a colour
    seed: int  # seed of the clouds


def sample_weather(dice: Dice) -> Weather:
    """Sunny, hazy or overcast."""
    kind = dice.pick(("sunny", "sunny", "hazy", "overcast", "overcast"))
    high, round_ = np.radians(dice.uniform(18, 58)), dice.uniform(0, 2 * np.pi)
    sun = np.array([np.cos(high) * np.cos(round_), np.cos(high) * np.sin(round_), np.sin(high)])
    warm = np.array([1.06, 0.98, dice.uniform(0.78, 0.92)])
    seed = dice.integer(0, 2**31 - 1)
    white = np.array([0.95, 0.98, 1.0])
    if kind == "sunny":
        blue = np.array([0.18, 0.36, 0.72]) * dice.uniform(0.8, 1.2)
        pale = np.array([0.62, 0.76, 0.95])
        power, clouds, sight = dice.uniform(1.6, 2.6), dice.uniform(0.0, 0.7), dice.uniform(500, 2000)
        return Weather(sun, power * warm, 0.5 * np.array([0.8, 0.92, 1.1]), blue, pale, clouds, sight, seed)
    if kind == "hazy":
        pale = np.array([0.88, 0.9, 0.92])
        power, sight = dice.uniform(0.5, 1.1), dice.uniform(150, 350)
        return Weather(sun, power * warm, 0.75 * white, 0.8 * pale, pale, 0.5, sight, seed)
    grey = np.array([0.86, 0.9, 0.95]) * dice.uniform(0.85, 1.05)
    return Weather(sun, 0.06 * warm, 0.95 * white, 0.85 * grey, grey, 1.0, dice.uniform(300, 1200), seed)


def sky_light(weather: Weather, way: Floats) -> Floats:
    """Linear light (n, 3) from the sky in unit directions (n, 3): gradient, clouds, glow of the sun."""
    height = np.clip(way[:, 2], 0.0, 1.0)
    colour = weather.horizon + (weather.zenith - weather.horizon) * (height**0.45)[:, None]
    flat = way[:, :2] / np.maximum(height, 0.02)[:, None]
    places = np.concatenate([flat * 0.5, np.zeros((len(flat), 1))], axis=1)
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
