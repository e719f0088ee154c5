"""Generated figures as a dataset: read by PASCAL-Context's reader, known by their recipe."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from tabench.data.base import Progress, VerifyReport
from tabench.data.listing import is_folder, names_in
from tabench.data.pascal.dataset import PascalContextDataset, PascalSplit
from tabench.errors import DataError
from tabench.worlds.figures.check import differences
from tabench.worlds.figures.folder import files_of, image_id, write_figure, write_sets
from tabench.worlds.figures.make import GENERATOR
from tabench.worlds.recipe import Recipe
from tabench.worlds.synthetic import SyntheticDataset


class FiguresDataset(SyntheticDataset, PascalContextDataset):
    """Procedural people, animals, vehicles and furniture in the PASCAL_MT layout, with its tasks."""

    name: ClassVar[str] = "figures"
    title: ClassVar[str] = "Synthetic figures"
    stands_for: ClassVar[str] = "pascal_context"
    generator: ClassVar[int] = GENERATOR
    size: ClassVar[tuple[int, int]] = (96, 128)
    published_counts: ClassVar[Mapping[str, int]] = {}
    normal_classes: ClassVar[Collection[int] | None] = None  # exact everywhere: none has to be left out
    download: ClassVar[str] = (
        "generate them: `tabench data make-scenes --dataset figures --root ROOT` (nothing is downloaded)"
    )

    def write_image(self, root: Path, recipe: Recipe, folder: str, index: int) -> None:
        """Render a picture into its six files; see `SyntheticDataset.write_image`."""
        write_figure(root, recipe, folder, index)

    def write_lists(self, root: Path, recipe: Recipe) -> None:
        """Write the lists of the splits."""
        write_sets(root, recipe)

    def target_size(self, root: Path) -> tuple[int, int]:
        """(H, W) of a folder's recipe: images are read at the size they were rendered at."""
        recipe = self.readable(root)
        return recipe.height, recipe.width

    def split(self, root: Path, name: str) -> PascalSplit:
        """Open a split.

        Raises:
            DataError: Nothing was generated here, or fewer images than the recipe says.
            SpecError: There is no split of this name.
        """
        self.check_counts(root, lambda folder: _images(root, folder))
        return super().split(root, name)

    def read_all(self, root: Path, recipe: Recipe, progress: Progress | None) -> VerifyReport:
        """Check every file; see `PascalContextDataset.verify`."""
        report = PascalContextDataset.verify(self, root, progress)
        with contextlib.suppress(DataError):  # it is among the problems
            report.counts = {folder: _images(root, folder) for folder in recipe.counts}
        return report

    def differences(self, root: Path, recipe: Recipe, folder: str, index: int) -> list[str]:
        """One line for each stored file that is not what the generator makes; see `differences`."""
        return differences(root, recipe, folder, index)


def _images(root: Path, folder: str) -> int:
    """Pictures of a split in a folder.

    Raises:
        DataError: It cannot be read.
    """
    place = files_of(root, image_id(folder, 0))["image"].parent
    names = names_in(place, hint=FiguresDataset.download) if is_folder(place) else []
    return sum(name.startswith(f"{folder}_") and name.endswith(".jpg") for name in names)


FIGURES = FiguresDataset()
