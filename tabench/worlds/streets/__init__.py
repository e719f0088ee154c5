"""Procedural streets with exact labels and disparity, in CityScapes' layout.

They stand in for CityScapes where it is absent. They are not CityScapes, and numbers on them
say nothing about it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tabench.data.array_folders import IGNORE
from tabench.data.cityscapes import CLASSES_7, CityscapesLayoutDataset
from tabench.worlds.camera import Camera
from tabench.worlds.dice import Dice, scene_key
from tabench.worlds.picture import take, unlabelled
from tabench.worlds.prefabs import build
from tabench.worlds.streets import traffic
from tabench.worlds.streets.frontage import line, pave, sky
from tabench.worlds.streets.plan import GROUND_END, sample_plan
from tabench.worlds.streets.stereo import LENS, disparity_of, speckles, unmatched
from tabench.worlds.synthetic import SyntheticArrayDataset
from tabench.worlds.things import Scene
from tabench.worlds.weather import sample_weather

GENERATOR = 3  # raised whenever any street changes
_STREAM = 1000  # below the seed: no room shares a stream with a street
_STREET, _SENSOR = 0, 1
_CLASSES = {
    "road": "flat",
    "sky": "sky",
    "person": "human",
    "pole": "object",
    **dict.fromkeys(("building", "wall", "fence"), "construction"),
    **dict.fromkeys(("tree", "bush", "hedge", "grass"), "nature"),
    **dict.fromkeys(("car", "van", "lorry", "bus"), "vehicle"),
}


def sample_street(dice: Dice) -> Scene:
    """A street as a driver sees it."""
    plan = sample_plan(dice)
    camera = _camera(dice)
    scene = Scene(np.array([800.0, GROUND_END, 60.0]), camera, weather=sample_weather(dice))
    scene.put(sky(GROUND_END + 20.0))
    pave(dice, scene, plan)
    line(dice, scene, plan)
    for side in plan.sides:
        traffic.furnish(dice, scene, plan, side)
        traffic.park(dice, scene, plan, side)
    traffic.drive(dice, scene, plan)
    traffic.stroll(dice, scene, plan)
    if dice.chance(0.75):  # the bonnet of the car that carries the camera
        hood = build(dice, "hood", height=0.8)
        low = float(camera.position[2]) - dice.uniform(0.35, 0.41) - hood.height
        scene.put(hood, dice.uniform(-0.15, 0.15), 1.7, low)
    return scene


def _camera(dice: Dice) -> Camera:
    """Behind a windscreen, looking ahead and a little down, as the dataset's calibration has it."""
    position = np.array([0.0, 0.0, dice.uniform(1.16, 1.32)])
    turn = 0.16 if dice.chance(0.25) else 0.05
    yaw, pitch = np.pi / 2 + dice.uniform(-turn, turn), -0.038 + dice.uniform(-0.012, 0.012)
    return Camera.looking(position, float(yaw), float(pitch), dice.uniform(-0.015, 0.015), LENS)


def make_street(
    seed: int, split: str, index: int, height: int, width: int
) -> dict[str, npt.NDArray[np.generic]]:
    """Render one street.

    The street depends on (seed, split, index) alone: other sizes show the same one. Arguments are those
    of `make_scene`.

    Returns:
        "image" (H, W, 3) float32 in multiples of 1/255; "label" (H, W) float32, 0..6 or -1;
        "disparity" (H, W, 1) float32, 0..0.4922 as CityScapes' layout scales it, 0 = invalid; "instance"
        (H, W) int32, from 1, one number an object or part of it.

    Raises:
        DataError: The split is unknown.
    """
    key = scene_key(split, index)
    scene, dice = sample_street(Dice(seed, _STREAM, *key, _STREET)), Dice(seed, _STREAM, *key, _SENSOR)
    picture = take(scene, dice, height, width)
    label = picture.of_pieces([class_of(piece.label) for piece in scene.pieces])
    above = picture.of_pieces([piece.label == "sky" for piece in scene.pieces])
    disparity = disparity_of(picture.depth)
    blind = unmatched(disparity) | speckles(dice, height, width) | above
    return {
        "image": picture.image,
        "label": unlabelled(label, picture.instance, dice, borders=0.3, whole=0.02),
        "disparity": np.where(blind, 0.0, disparity)[..., None].astype(np.float32),
        "instance": picture.instance,
    }


def class_of(label: str) -> int:
    """Number of a piece's category, in CityScapes' order of 7; what it leaves unlabelled is IGNORE."""
    name = _CLASSES.get(label.partition("/")[0])
    return CLASSES_7.index(name) if name else IGNORE


class StreetDataset(SyntheticArrayDataset, CityscapesLayoutDataset):
    """Procedural streets in the CityScapes layout, with the same 7 classes and tasks."""

    name: ClassVar[str] = "streets"
    title: ClassVar[str] = "Synthetic streets"
    stands_for: ClassVar[str] = "cityscapes"
    generator: ClassVar[int] = GENERATOR
    class_names: ClassVar[tuple[str, ...]] = CLASSES_7
    task_channels: ClassVar[Mapping[str, int]] = {"segmentation": 7, "disparity": 1}
    label_folders: ClassVar[tuple[str, ...]] = ("label_7",)
    size: ClassVar[tuple[int, int]] = (64, 128)
    download: ClassVar[str] = "an experiment's demo generates them when it first runs (nothing is downloaded)"
    tolerance: ClassVar[Mapping[str, float]] = {"image": 2.5 / 255, "label": 0.5, "disparity": 1e-4}
    make_maps = staticmethod(make_street)


STREETS = StreetDataset()
