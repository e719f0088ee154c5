"""Which subject each image has: dealt from a shuffled deck, so that few images show all classes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from tabench.worlds.figures import indoors, outdoor
from tabench.worlds.figures.stage import Stage
from tabench.worlds.scenes.dice import Dice, scene_key

DECK: tuple[Callable[[Dice], Stage], ...] = (
    indoors.living,
    indoors.living,
    indoors.dining,
    indoors.office,
    indoors.portrait,
    indoors.portrait,
    *(partial(indoors.still, subject=subject) for subject in ("table", "pet", "seat")),
    *(partial(outdoor.street, subject=kind) for kind in ("car", "bus", "bicycle", "motorbike", "people")),
    *(partial(outdoor.meadow, kind=kind) for kind in ("horse", "cow", "sheep")),
    *(partial(outdoor.shore, subject=subject) for subject in ("boat", "people")),
    outdoor.station,
    outdoor.airfield,
    *(partial(outdoor.garden, subject=subject) for subject in ("dog", "bird", "people")),
)
_SHUFFLE = 12


def dealt(seed: int, split: str, index: int) -> Callable[[Dice], Stage]:
    """The subject of an image: every run of len(DECK) images has each once, in an order of its own.

    Raises:
        DataError: The split is unknown or the index is negative.
    """
    key, position = scene_key(split, index)
    run, place = divmod(position, len(DECK))
    order = np.argsort(Dice(seed, key, run, _SHUFFLE).uniforms(len(DECK)), kind="stable")
    return DECK[int(order[place])]
