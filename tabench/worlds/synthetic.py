"""Datasets that are generated from a recipe, in the layout of a real one that they stand in for."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from tabench.data.base import DatasetDef, Progress, VerifyReport
from tabench.data.listing import is_empty
from tabench.errors import DataError
from tabench.store.atomic import write_bytes
from tabench.worlds.recipe import Recipe, read_recipe


class SyntheticDataset(DatasetDef):
    """A generated dataset: known by its recipe, written image by image, resumable.

    Subclasses also derive from the real dataset's reader, after this class.

    Attributes:
        generator: Version of the generator; raised whenever any image changes.
    """

    synthetic: ClassVar[bool] = True
    generator: ClassVar[int] = 1

    @abstractmethod
    def write_image(self, root: Path, recipe: Recipe, folder: str, index: int) -> None:
        """Write all files of an image of "train" or "val", each whole; a complete image is left alone."""

    @abstractmethod
    def read_all(self, root: Path, recipe: Recipe, progress: Progress | None) -> VerifyReport:
        """Check every file as the real dataset's verification does."""

    @abstractmethod
    def differences(self, root: Path, recipe: Recipe, folder: str, index: int) -> list[str]:
        """One line for each stored file of an image that is not what the generator makes."""

    def write_lists(self, root: Path, recipe: Recipe) -> None:
        """Write what the layout needs besides the images (split lists); nothing by default."""

    def recipe_fingerprint(self, **sizes: int) -> str:
        """Fingerprint of what `make` makes of these sizes; see `DatasetDef`."""
        return Recipe(**sizes, generator=self.generator).fingerprint(self.name)

    def make(self, root: Path, *, progress: Progress | None = None, **sizes: int) -> None:
        """Write the dataset, or what is missing of it; see `DatasetDef`."""
        recipe = Recipe(**sizes, generator=self.generator)
        self._claim(root, recipe)
        jobs = [(folder, i) for folder, count in recipe.counts.items() for i in range(count)]
        for done, (folder, index) in enumerate(jobs):
            self.write_image(root, recipe, folder, index)
            if progress is not None:
                progress(done + 1, len(jobs), f"{folder}/{index}")
        self.write_lists(root, recipe)

    def check_counts(self, root: Path, images: Callable[[str], int]) -> None:
        """Compare the images of each folder, as `images` counts them, with the recipe.

        Raises:
            DataError: Nothing was generated here, or another number of images than the recipe says.
        """
        for folder, expected in self.readable(root).counts.items():
            found = images(folder)
            if found != expected:
                raise DataError(
                    f"{found} images, the recipe says {expected}",
                    where=str(root / folder),
                    hint="call the generator with the same recipe again: it makes the missing ones",
                )

    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Check every file, the counts against the recipe, and two images against the generator."""
        try:
            recipe = self.readable(root)
        except DataError as error:
            return VerifyReport(root, problems=[f"{error.where}: {error.message}"])
        report = self.read_all(root, recipe, progress)
        for folder, expected in recipe.counts.items():
            found = report.counts.get(folder, 0)
            if found != expected:
                report.problems.append(f"{root}: {folder} has {found} images, the recipe says {expected}")
        if not report.problems:
            report.problems += self.differences(root, recipe, "train", 0)
            report.problems += self.differences(root, recipe, "val", recipe.val - 1)
        report.facts["recipe"] = recipe.to_json()
        report.fingerprint = "" if report.problems else recipe.fingerprint(self.name)
        return report

    def fingerprint(self, root: Path, progress: Progress | None = None, *, fresh: bool = False) -> str:
        """Fingerprint of the recipe, the same on any machine.

        Raises:
            DataError: The folder holds no such images, or those of another generator.
        """
        return self.readable(root).fingerprint(self.name)

    def readable(self, root: Path) -> Recipe:
        """The recipe of a folder that this generator made.

        Raises:
            DataError: The folder holds no such images, or those of another generator.
        """
        recipe = read_recipe(root / self.recipe_file)
        if recipe.generator != self.generator:
            raise DataError(
                f"made by generator {recipe.generator}, this one is {self.generator}",
                where=str(root / self.recipe_file),
                hint=f"generate the {self.name} again in another folder",
            )
        return recipe

    def _claim(self, root: Path, recipe: Recipe) -> None:
        path = root / self.recipe_file
        if path.exists():
            held = read_recipe(path)
            if held != recipe:
                raise DataError(
                    f"this folder holds {self.name} of another recipe: {held.to_json()}, "
                    f"asked for {recipe.to_json()}",
                    where=str(path),
                    hint="choose another folder or delete this one",
                )
            return
        if root.exists() and not is_empty(root):
            raise DataError(
                f"the path is taken by something that is not generated {self.name}",
                where=str(root),
                hint="choose an empty or a new folder",
            )
        write_bytes(path, (recipe.to_json() + "\n").encode())
