"""Making one picture with its targets in memory."""

from __future__ import annotations

from tabench.worlds.figures.deck import dealt
from tabench.worlds.figures.render import Picture, render
from tabench.worlds.scenes.dice import Dice, scene_key
from tabench.worlds.scenes.scene import Scene

GENERATOR = 1  # raised whenever any picture changes
_WORLD, _SENSOR = 10, 11
_TRIED = 8


def sample_scene(seed: int, split: str, index: int) -> Scene:
    """The scene of an image; one without room for its subject is drawn again.

    Raises:
        DataError: The split is unknown or the index is negative.
    """
    dice = Dice(seed, *scene_key(split, index), _WORLD)
    subject = dealt(seed, split, index)
    for _ in range(_TRIED):
        stage = subject(dice)
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
    sensor = Dice(seed, *scene_key(split, index), _SENSOR)
    return render(sample_scene(seed, split, index), sensor, height, width)
