"""Sun, sky and haze of a street, and the light they throw on surfaces."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tabench.worlds.scenes.dice import Dice, Floats
from tabench.worlds.scenes.lighting import Occluders
from tabench.worlds.scenes.render import Hits, Surface
from tabench.worlds.scenes.scene import Scene
from tabench.worlds.scenes.shapes import dot

_FAR = 900.0  # metres to where shadow rays end


@dataclass(frozen=True, eq=False)
class Weather:
    """What lights a street.

    Attributes:
        sun: (3,) unit direction to the sun.
        power: (3,) linear light of the sun on a surface that faces it.
        sky: (3,) linear light of the whole sky on level ground.
        zenith: (3,) linear colour of the sky overhead.
        horizon: (3,) linear colour of the sky at the horizon, and of the haze.
        clouds: Share of the sky that is clouded, 0..1.
        sight: Metres over which haze takes all but 1/e of a colour.
        seed: Seed of the clouds.
    """

    sun: Floats
    power: Floats
    sky: Floats
    zenith: Floats
    horizon: Floats
    clouds: float
    sight: float
    seed: int


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


def lit(scene: Scene, weather: Weather, hits: Hits, seen: Surface) -> Floats:
    """Linear light (n, 3) that the surfaces send to the camera, without haze."""
    occluders = Occluders(scene)
    lifted = hits.points + 5e-3 * hits.normals
    facing = np.maximum(hits.normals @ weather.sun, 0.0)
    sunny = np.flatnonzero(facing > 1e-3)
    sunny = sunny[~occluders.blocked(lifted[sunny], lifted.mean(0) + _FAR * weather.sun)]
    direct, shine = np.zeros((2, len(facing)))
    direct[sunny] = facing[sunny]
    half = weather.sun + seen.view[sunny]
    half /= np.maximum(np.sqrt(dot(half, half))[:, None], 1e-9)
    shine[sunny] = np.maximum(dot(half, hits.normals[sunny]), 0.0) ** 60 * seen.gloss[sunny]
    up = hits.normals[:, 2]
    open_sky = 0.5 + 0.5 * up
    # level surfaces below a car or a crown see little of the sky; near the ground walls see the road
    level = np.flatnonzero(up > 0.5)
    covered = occluders.blocked(lifted[level], lifted.mean(0) + np.array([0.0, 0.0, _FAR]))
    open_sky[level[covered]] *= 0.45
    near_ground = 1.0 - 0.35 * np.exp(-np.maximum(hits.points[:, 2], 0.0) / 0.35) * (1.0 - np.abs(up))
    ambient = (0.35 + 0.65 * open_sky) * near_ground
    mirrored = 0.22 * seen.gloss * (1.0 - np.maximum(dot(seen.view, hits.normals), 0.0)) ** 2
    light = seen.albedo * (direct[:, None] * weather.power + ambient[:, None] * weather.sky)
    light += seen.albedo * seen.glow[:, None]
    return light + 0.5 * shine[:, None] * weather.power + mirrored[:, None] * weather.horizon


def hazed(weather: Weather, light: Floats, depth: Floats) -> Floats:
    """Light (n, 3) after its way through the air, `depth` (n,) metres."""
    left = np.exp(-depth / weather.sight)[:, None]
    return light * left + weather.horizon * (1.0 - left)
