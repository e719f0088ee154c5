"""Generated scenes as a dataset: read by NYUv2's reader, known by their recipe."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np

from tabench.data.base import Progress, VerifyReport
from tabench.data.layout import KINDS, file_of, write_array
from tabench.data.nyuv2 import NyuLayoutDataset, NyuLayoutSplit
from tabench.data.recipe import Recipe
from tabench.data.scenes.make import GENERATOR, make_scene
from tabench.data.synthetic import SyntheticDataset
from tabench.data.verify import verify_layout
from tabench.errors import DataError

# Another platform's rounding may move an edge by a pixel or a colour by a step.
_DIFFERING_PIXELS = 0.01
_TOLERANCE = {"image": 2.5 / 255, "label": 0.5, "depth": 1e-3, "normal": 1e-3}


class SceneDataset(SyntheticDataset, NyuLayoutDataset):
    """Procedural rooms in the NYUv2 layout, with the same classes and tasks."""

    name: ClassVar[str] = "scenes"
    title: ClassVar[str] = "Synthetic scenes"
    stands_for: ClassVar[str] = "nyuv2"
    generator: ClassVar[int] = GENERATOR
    size: ClassVar[tuple[int, int]] = (96, 128)
    download: ClassVar[str] = "generate them: `tabench data make-scenes --root ROOT` (nothing is downloaded)"

    def write_image(self, root: Path, recipe: Recipe, folder: str, index: int) -> None:
        """Render a scene into its four arrays; see `SyntheticDataset.write_image`."""
        paths = {kind: file_of(root, folder, kind, index) for kind in KINDS}
        if not all(path.exists() for path in paths.values()):
            scene = make_scene(recipe.seed, folder, index, recipe.height, recipe.width)
            for kind, path in paths.items():
                write_array(path, scene[kind])

    def split(self, root: Path, name: str) -> NyuLayoutSplit:
        """Open a split.

        Raises:
            DataError: Nothing was generated here, or fewer images than the recipe says.
            SpecError: There is no split of this name.
        """
        self.check_counts(root, lambda folder: len(NyuLayoutDataset.split(self, root, folder)))
        return super().split(root, name)

    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Check every file, the counts against the recipe, and two images against the renderer."""
        try:
            recipe = self.readable(root)
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
        for folder, expected in recipe.counts.items():
            found = report.counts.get(folder, 0)
            if found != expected:
                report.problems.append(f"{root / folder}: {found} images, the recipe says {expected}")
        if not report.problems:
            report.problems += _differences(root, recipe, "train", 0)
            report.problems += _differences(root, recipe, "val", recipe.val - 1)
        report.facts["recipe"] = recipe.to_json()
        if not report.problems:
            report.fingerprint = self.recipe_fingerprint(recipe)
        return report


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
