"""Procedural pictures of people among six other kinds of objects, in PASCAL-Context's layout.

They stand in for PASCAL-Context where it is absent, with exact targets: seven of VOC's twenty classes, parts
of people, saliency, surface normals. They are not PASCAL, and numbers on them say nothing about it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tabench.data.pascal.dataset import PascalContextDataset
from tabench.data.pascal.files import PLACES
from tabench.worlds.dice import Dice, scene_key
from tabench.worlds.figures.folder import contents, decoded, files_of, image_id, write_sets
from tabench.worlds.figures.render import ABSENT, Figure, render
from tabench.worlds.figures.settings import dealt
from tabench.worlds.synthetic import Recipe, SyntheticDataset
from tabench.worlds.things import Scene

GENERATOR = 3  # raised whenever any picture changes
_WORLD, _SENSOR = 10, 11
_TRIED = 8
_FAR = {"image": 16, "normal": 2}


def sample_scene(seed: int, split: str, index: int) -> Scene:
    """The scene of an image; one without room for its subject is drawn again."""
    dice = Dice(seed, *scene_key(split, index), _WORLD)
    setting = dealt(seed, split, index)
    for _ in range(_TRIED):
        floor = setting(dice)
        if floor.shown:
            break
    return floor.scene


def make_figure(seed: int, split: str, index: int, height: int, width: int) -> Figure:
    """Render one picture.

    What it shows depends on (seed, split, index) alone: other sizes show the same. Arguments and errors are
    those of `make_scene`.
    """
    sensor = Dice(seed, *scene_key(split, index), _SENSOR)
    return render(sample_scene(seed, split, index), sensor, height, width)


class FiguresDataset(SyntheticDataset, PascalContextDataset):
    """Procedural people among cars, furniture and dogs in the PASCAL_MT layout, with its tasks."""

    name: ClassVar[str] = "figures"
    title: ClassVar[str] = "Synthetic figures"
    stands_for: ClassVar[str] = "pascal_context"
    generator: ClassVar[int] = GENERATOR
    size: ClassVar[tuple[int, int]] = (96, 128)
    published_counts: ClassVar[Mapping[str, int]] = {}
    normal_classes: ClassVar[Collection[int] | None] = None  # exact everywhere: none has to be left out
    tolerance: ClassVar[Mapping[str, float]] = {kind: _FAR.get(kind, 0) for kind in (*PLACES, "label")}
    most_apart: ClassVar[float] = 0.02
    download: ClassVar[str] = "an experiment's demo generates them when it first runs (nothing is downloaded)"

    def notes(self, root: Path) -> list[str]:
        """What the reader's notes say, and which of VOC's classes never occur."""
        return [*super().notes(root), f"classes that the figures never show: {', '.join(ABSENT)}"]

    def files_of(self, root: Path, folder: str, index: int) -> Mapping[str, Path]:
        """See `SyntheticDataset`."""
        return files_of(root, image_id(folder, index))

    def render(self, recipe: Recipe, folder: str, index: int) -> Mapping[str, bytes]:
        """See `SyntheticDataset`."""
        figure = make_figure(recipe.seed, folder, index, recipe.height, recipe.width)
        return contents(image_id(folder, index), figure)

    def decoded(self, kind: str, content: bytes) -> npt.NDArray[np.generic]:
        """See `SyntheticDataset`."""
        return decoded(kind, content)

    def write_lists(self, root: Path, recipe: Recipe) -> None:
        """Write the lists of the splits."""
        write_sets(root, recipe.counts)


FIGURES = FiguresDataset()
