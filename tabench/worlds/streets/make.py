"""Making one street in memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tabench.worlds.scenes.dice import Dice, scene_key
from tabench.worlds.streets.render import render
from tabench.worlds.streets.street import sample_street

GENERATOR = 1  # raised whenever any street changes
_STREAM = 1000  # below the seed: no room shares a stream with a street
_STREET, _SENSOR = 0, 1


def make_street(
    seed: int, split: str, index: int, height: int, width: int
) -> dict[str, npt.NDArray[np.generic]]:
    """Render one street.

    The street depends on (seed, split, index) alone: other sizes show the same one.

    Args:
        seed: Seed of the dataset.
        split: "train" or "val".
        index: Number of the image.
        height: Pixels.
        width: Pixels.

    Returns:
        "image" (H, W, 3) float32 in multiples of 1/255; "label" (H, W) float32, 0..6 or -1;
        "disparity" (H, W, 1) float32, 0..0.4922 as CityScapes' layout scales it, 0 = invalid; "instance"
        (H, W) int32, from 1, one number an object or part of it.

    Raises:
        DataError: The split is unknown.
    """
    key = scene_key(split, index)
    street = sample_street(Dice(seed, _STREAM, *key, _STREET))
    return render(street, Dice(seed, _STREAM, *key, _SENSOR), height, width)
