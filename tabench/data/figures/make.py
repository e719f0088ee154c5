"""Making one picture with its targets in memory."""

from __future__ import annotations

from tabench.data.figures import indoors, outdoor
from tabench.data.figures.render import Picture, render
from tabench.data.scenes.dice import Dice, scene_key
from tabench.data.scenes.scene import Scene

GENERATOR = 1  # raised whenever any picture changes
_WORLD, _SENSOR = 10, 11
_INDOORS = 0.4
_TRIED = 8


def sample_scene(dice: Dice) -> Scene:
    """A composed scene, indoors or outdoors; one without room for its subject is drawn again."""
    for _ in range(_TRIED):
        if dice.chance(_INDOORS):
            stage = indoors.room(dice)
            dice.pick(indoors.PROGRAMMES)(stage)
        else:
            stage = dice.pick(outdoor.PROGRAMMES)(dice)
        if stage.seen:
            break
    return stage.scene


def make_figure(seed: int, split: str, index: int, height: int, width: int) -> Picture:
    """Render one picture.

    What it shows depends on (seed, split, index) alone: other sizes show the same.

    Args:
        seed: Seed of the dataset.
        split: "train" or "val".
        index: Number of the image.
        height: Pixels.
        width: Pixels.

    Raises:
        DataError: The split is unknown or the index is negative.
    """
    key = scene_key(split, index)
    scene = sample_scene(Dice(seed, *key, _WORLD))
    return render(scene, Dice(seed, *key, _SENSOR), height, width)
