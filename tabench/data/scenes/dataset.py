"""Generated scenes as a dataset: read by NYUv2's reader, known by their recipe."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from tabench.data.base import Progress, VerifyReport
from tabench.data.layout import KINDS, file_of
from tabench.data.nyuv2 import NyuLayoutDataset, NyuLayoutSplit
from tabench.data.scenes.make import make_scene
from tabench.data.scenes.recipe import FILE, GENERATOR, Recipe, read_recipe, recipe_fingerprint
from tabench.data.verify import verify_layout
from tabench.errors import DataError

# Another platform's rounding may move an edge by a pixel or a colour by a step.
_DIFFERING_PIXELS = 0.01
_TOLERANCE = {"image": 2.5 / 255, "label": 0.5, "depth": 1e-3, "normal": 1e-3}


class SceneDataset(NyuLayoutDataset):
    """Procedural rooms in the NYUv2 layout, with the same classes and tasks."""

    name: ClassVar[str] = "scenes"
    title: ClassVar[str] = "Synthetic scenes"
    synthetic: ClassVar[bool] = True
    size: ClassVar[tuple[int, int]] = (96, 128)
    download: ClassVar[str] = "generate them: `tabench data make-scenes --root ROOT` (nothing is downloaded)"

    def split(self, root: Path, name: str) -> NyuLayoutSplit:
        """Open a split.

        Raises:
            DataError: Nothing was generated here, or fewer images than the recipe says.
            SpecError: There is no split of this name.
        """
        recipe = _readable(root)
        for folder, expected in _counts(recipe).items():
            found = len(super().split(root, folder))
            if found != expected:
                raise DataError(
                    f"{found} images, the recipe says {expected}",
                    where=str(root / folder),
                    hint="call the generator with the same recipe again: it makes the missing ones",
                )
        return super().split(root, name)

    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Check every file, the counts against the recipe, and two images against the renderer."""
        try:
            recipe = _readable(root)
        except DataError as error:
            return VerifyReport(root, problems=[f"{error.where}: {error.message}"])
        report = verify_layout(
            root,
            class_names=self.class_names,
            published_counts={},
            published_size=(recipe.height, recipe.width),
            hint=self.download,
            progress=progress,
        )
        for folder, expected in _counts(recipe).items():
            found = report.counts.get(folder, 0)
            if found != expected:
                report.problems.append(f"{root / folder}: {found} images, the recipe says {expected}")
        if not report.problems:
            report.problems += _differences(root, recipe, "train", 0)
            report.problems += _differences(root, recipe, "val", recipe.val - 1)
        report.facts["recipe"] = recipe.to_json()
        if not report.problems:
            report.fingerprint = recipe_fingerprint(recipe)
        return report

    def fingerprint(self, root: Path, progress: Progress | None = None) -> str:
        """Fingerprint of the recipe, the same on any machine.

        Raises:
            DataError: The folder holds no scenes, or those of another generator.
        """
        return recipe_fingerprint(_readable(root))


def _readable(root: Path) -> Recipe:
    recipe = read_recipe(root)
    if recipe.generator != GENERATOR:
        raise DataError(
            f"made by generator {recipe.generator}, this one is {GENERATOR}",
            where=str(root / FILE),
            hint="generate the scenes again in another folder",
        )
    return recipe


def _counts(recipe: Recipe) -> dict[str, int]:
    return {"train": recipe.train, "val": recipe.val}


def _differences(root: Path, recipe: Recipe, split: str, index: int) -> list[str]:
    """One line for each stored array that is not what the renderer makes."""
    scene = make_scene(recipe.seed, split, index, recipe.height, recipe.width)
    problems = []
    for kind in KINDS:
        path = file_of(root, split, kind, index)
        stored = np.load(path, allow_pickle=False).astype(np.float64)
        fresh = scene[kind].astype(np.float64)
        if stored.shape != fresh.shape:
            problems.append(f"{path}: shape {stored.shape}, the recipe renders {fresh.shape}")
            continue
        apart = np.abs(stored - fresh) > _TOLERANCE[kind]
        share = float((apart.any(axis=2) if apart.ndim == 3 else apart).mean())
        if share > _DIFFERING_PIXELS:
            problems.append(f"{path}: {100 * share:.1f}% of the pixels are not what the recipe renders")
    return problems


SCENES = SceneDataset()
