"""Generated scenes as a dataset: read by NYUv2's reader, known by their recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tabench.data.nyuv2 import NyuLayoutDataset
from tabench.worlds.recipe import Recipe
from tabench.worlds.scenes.make import GENERATOR, make_scene
from tabench.worlds.synthetic_arrays import SyntheticArrayDataset


class SceneDataset(SyntheticArrayDataset, NyuLayoutDataset):
    """Procedural rooms in the NYUv2 layout, with the same classes and tasks."""

    name: ClassVar[str] = "scenes"
    title: ClassVar[str] = "Synthetic scenes"
    stands_for: ClassVar[str] = "nyuv2"
    generator: ClassVar[int] = GENERATOR
    size: ClassVar[tuple[int, int]] = (96, 128)
    download: ClassVar[str] = "generate them: `tabench data make-scenes --root ROOT` (nothing is downloaded)"
    tolerance: ClassVar[Mapping[str, float]] = {
        "image": 2.5 / 255,
        "label": 0.5,
        "depth": 1e-3,
        "normal": 1e-3,
    }

    def make_arrays(self, recipe: Recipe, folder: str, index: int) -> Mapping[str, npt.NDArray[np.generic]]:
        """Render a room; see `SyntheticArrayDataset.make_arrays`."""
        return make_scene(recipe.seed, folder, index, recipe.height, recipe.width)


SCENES = SceneDataset()
