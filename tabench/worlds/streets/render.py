"""From a street to image, labels, disparity and instances."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tabench.data.array_folders import IGNORE
from tabench.data.cityscapes import CLASSES_7
from tabench.worlds.scenes.camera import intrinsics
from tabench.worlds.scenes.dice import Dice, Floats
from tabench.worlds.scenes.noise import value_noise
from tabench.worlds.scenes.render import develop, surface, trace
from tabench.worlds.streets.patterns import PATTERNS
from tabench.worlds.streets.stereo import LENS, disparity_of, speckles, unmatched
from tabench.worlds.streets.street import Street
from tabench.worlds.streets.weather import Weather, hazed, lit

_NUMBERS = {name: number for number, name in enumerate(CLASSES_7)} | {"void": IGNORE}


def render(street: Street, dice: Dice, height: int, width: int) -> dict[str, npt.NDArray[np.generic]]:
    """All maps of a street, channels last, as ``make_street`` describes them."""
    scene = street.scene
    hits = trace(scene, height, width)
    rays = scene.camera.rays(height, width).reshape(-1, 3)
    labels = np.array([_NUMBERS[piece.label] for piece in scene.pieces])[hits.piece]
    sky = labels == _NUMBERS["sky"]
    seen = surface(scene, hits, rays, intrinsics(height, width, LENS)[0], PATTERNS)
    light = hazed(street.weather, lit(scene, street.weather, hits, seen), hits.depth)
    light[sky] = sky_light(street.weather, -seen.view[sky])
    shape = (height, width)
    label, instance = labels.reshape(shape), np.array(scene.instances, np.int32)[hits.piece].reshape(shape)
    disparity = disparity_of(hits.depth).reshape(shape)
    blind = unmatched(disparity) | speckles(dice, height, width) | sky.reshape(shape)
    return {
        "image": develop(light.reshape(height, width, 3), dice),
        "label": _unlabelled(label, instance, dice).astype(np.float32),
        "disparity": np.where(blind, 0.0, disparity)[..., None].astype(np.float32),
        "instance": instance,
    }


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


def _unlabelled(
    label: npt.NDArray[np.int64], instance: npt.NDArray[np.int32], dice: Dice
) -> npt.NDArray[np.int64]:
    """Labels with IGNORE on class borders of some images and on a few whole small instances."""
    out = label.copy()
    if dice.chance(0.3):
        across, down = label[:, 1:] != label[:, :-1], label[1:] != label[:-1]
        out[:, 1:][across] = IGNORE
        out[1:][down] = IGNORE
    for number in np.unique(instance):
        if dice.chance(0.02) and (instance == number).mean() < 0.02:
            out[instance == number] = IGNORE
    return out
