"""Making one scene in memory."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from tabench.worlds.scenes.dice import Dice, scene_key
from tabench.worlds.scenes.render import render
from tabench.worlds.scenes.rooms import sample_scene

GENERATOR = 1  # raised whenever any scene changes
_ROOM, _SENSOR = 0, 1


def make_scene(
    seed: int, split: str, index: int, height: int, width: int
) -> dict[str, npt.NDArray[np.generic]]:
    """Render one scene.

    The room depends on (seed, split, index) alone: other sizes show the same room.

    Args:
        seed: Seed of the dataset.
        split: "train", "val" or "pretrain" (kept apart for pretraining).
        index: Number of the image.
        height: Pixels.
        width: Pixels.

    Returns:
        "image" (H, W, 3) float32 in multiples of 1/255; "label" (H, W) float32, 0..12 or
        -1; "depth" (H, W, 1) float32 metres along the optical axis, 0 = invalid; "normal"
        (H, W, 3) float32 unit vectors (x right, y down, z forward, facing the camera),
        0 = invalid; "instance" (H, W) int32, from 1, one number an object or part of it.

    Raises:
        DataError: The split is unknown.
    """
    key = scene_key(split, index)
    scene = sample_scene(Dice(seed, *key, _ROOM))
    return render(scene, Dice(seed, *key, _SENSOR), height, width)
