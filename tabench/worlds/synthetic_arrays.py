"""Generated datasets whose images are folders of arrays."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from tabench.data.array_dataset import ArrayDataset, ArraySplit
from tabench.data.array_folders import file_of, open_array, write_array
from tabench.data.base import Progress, VerifyReport
from tabench.worlds.recipe import Recipe
from tabench.worlds.synthetic import SyntheticDataset

# Another platform's rounding may move an edge by a pixel or a colour by a step.
_DIFFERING_PIXELS = 0.01


class SyntheticArrayDataset(SyntheticDataset, ArrayDataset):
    """A generated dataset that is read as arrays; subclasses also derive from the real reader.

    Attributes:
        tolerance: For each kind, how far a stored value may be from the rendered one.
    """

    tolerance: ClassVar[Mapping[str, float]]

    @abstractmethod
    def make_arrays(self, recipe: Recipe, folder: str, index: int) -> Mapping[str, npt.NDArray[np.generic]]:
        """Render one image of "train" or "val": the stored array of each kind."""

    def write_image(self, root: Path, recipe: Recipe, folder: str, index: int) -> None:
        """Render an image into its arrays; see `SyntheticDataset.write_image`."""
        paths = {kind: file_of(root, folder, name, index) for kind, name in self.folders(root).items()}
        if not all(path.exists() for path in paths.values()):
            arrays = self.make_arrays(recipe, folder, index)
            for kind, path in paths.items():
                write_array(path, arrays[kind])

    def split(self, root: Path, name: str) -> ArraySplit:
        """Open a split.

        Raises:
            DataError: Nothing was generated here, or fewer images than the recipe says.
            SpecError: There is no split of this name.
        """
        self.check_counts(root, lambda folder: len(ArrayDataset.split(self, root, folder)))
        return super().split(root, name)

    def read_all(self, root: Path, recipe: Recipe, progress: Progress | None) -> VerifyReport:
        """Check every file; see `ArrayDataset.verify_files`."""
        return self.verify_files(root, {}, (recipe.height, recipe.width), progress)

    def differences(self, root: Path, recipe: Recipe, folder: str, index: int) -> list[str]:
        """One line for each stored array that is not what the renderer makes."""
        arrays = self.make_arrays(recipe, folder, index)
        problems = []
        for kind, name in self.folders(root).items():
            path = file_of(root, folder, name, index)
            stored = open_array(path).astype(np.float64)
            fresh = arrays[kind].astype(np.float64)
            if stored.shape != fresh.shape:
                problems.append(f"{path}: shape {stored.shape}, the recipe renders {fresh.shape}")
                continue
            apart = np.abs(stored - fresh) > self.tolerance[kind]
            share = float((apart.any(axis=2) if apart.ndim == 3 else apart).mean())
            if share > _DIFFERING_PIXELS:
                problems.append(f"{path}: {100 * share:.1f}% of the pixels are not what the recipe renders")
        return problems
