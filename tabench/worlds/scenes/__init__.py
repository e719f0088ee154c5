"""Procedural furnished rooms with exact labels, depth and normals, in NYUv2's layout.

They stand in for NYUv2 where it is absent and feed the pretraining of the small SAM.
They are not NYUv2, and numbers on them say nothing about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tabench.data.nyuv2 import CLASSES_13, NyuLayoutDataset
from tabench.worlds.dice import Dice, scene_key
from tabench.worlds.picture import take, unlabelled
from tabench.worlds.scenes.rooms import sample_scene
from tabench.worlds.synthetic import SyntheticArrayDataset

GENERATOR = 3  # raised whenever any scene changes
_ROOM, _SENSOR = 0, 1
_CLASSES = {
    "cabinet": "furniture",
    "door": "wall",
    "rug": "floor",
    **dict.fromkeys(("blind", "curtain", "curtainrod"), "window"),
}


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
    scene, dice = sample_scene(Dice(seed, *key, _ROOM)), Dice(seed, *key, _SENSOR)
    picture = take(scene, dice, height, width)
    label = picture.of_pieces([class_of(piece.label) for piece in scene.pieces])
    blind = picture.of_pieces([piece.glass for piece in scene.pieces]) | (picture.facing < 0.05)
    return {
        "image": picture.image,
        "label": unlabelled(label, picture.instance, dice, borders=0.5, whole=0.03),
        "depth": np.where(blind, 0.0, picture.depth)[..., None].astype(np.float32),
        "normal": np.where(blind[..., None], 0.0, picture.normal).astype(np.float32),
        "instance": picture.instance,
    }


def class_of(label: str) -> int:
    """Number of a piece's class, in NYUv2's order of 13."""
    name = _CLASSES.get(label, label)
    return CLASSES_13.index(name if name in CLASSES_13 else "objects")


class SceneDataset(SyntheticArrayDataset, NyuLayoutDataset):
    """Procedural rooms in the NYUv2 layout, with the same classes and tasks."""

    name: ClassVar[str] = "scenes"
    title: ClassVar[str] = "Synthetic scenes"
    stands_for: ClassVar[str] = "nyuv2"
    generator: ClassVar[int] = GENERATOR
    size: ClassVar[tuple[int, int]] = (96, 128)
    download: ClassVar[str] = "an experiment's demo generates them when it first runs (nothing is downloaded)"
    tolerance: ClassVar[Mapping[str, float]] = {
        "image": 2.5 / 255,
        "label": 0.5,
        "depth": 1e-3,
        "normal": 1e-3,
    }
    make_maps = staticmethod(make_scene)


SCENES = SceneDataset()
