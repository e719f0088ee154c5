"""Generated streets as a dataset: read by CityScapes' reader, known by their recipe."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tabench.data.cityscapes import CLASSES_7, CityscapesLayoutDataset
from tabench.worlds.recipe import Recipe
from tabench.worlds.streets.make import GENERATOR, make_street
from tabench.worlds.synthetic_arrays import SyntheticArrayDataset


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
    download: ClassVar[str] = (
        "generate them: `tabench data make-scenes --dataset streets --root ROOT` (nothing is downloaded)"
    )
    tolerance: ClassVar[Mapping[str, float]] = {"image": 2.5 / 255, "label": 0.5, "disparity": 1e-4}

    def make_arrays(self, recipe: Recipe, folder: str, index: int) -> Mapping[str, npt.NDArray[np.generic]]:
        """Render a street; see `SyntheticArrayDataset.make_arrays`."""
        return make_street(recipe.seed, folder, index, recipe.height, recipe.width)


STREETS = StreetDataset()
