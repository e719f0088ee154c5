"""Procedural pictures of people among eight other kinds of objects, in PASCAL-Context's layout.

They stand in for PASCAL-Context where it is absent, with exact targets: nine of VOC's twenty classes, parts
of people, saliency, surface normals. They are not PASCAL, and numbers on them say nothing about it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from tabench.data.base import Progress, VerifyReport
from tabench.data.listing import is_folder, names_in
from tabench.data.pascal.dataset import PascalContextDataset, PascalSplit
from tabench.errors import DataError
from tabench.store.atomic import write_bytes
from tabench.worlds.dice import Dice, scene_key
from tabench.worlds.figures.classes import ABSENT
from tabench.worlds.figures.folder import contents, decoded, files_of, image_id, write_sets
from tabench.worlds.figures.render import Figure, render
from tabench.worlds.figures.settings import dealt
from tabench.worlds.synthetic import Recipe, SyntheticDataset, compared
from tabench.worlds.things import Scene

GENERATOR = 2  # raised whenever any picture changes
_WORLD, _SENSOR = 10, 11
_TRIED = 8
_TOLERANCE = {"image": 16, "label": 0, "parts": 0, "normal": 2, "saliency": 0, "context": 0}


def sample_scene(seed: int, split: str, index: int) -> Scene:
    """The scene of an image; one without room for its subject is drawn again."""
    dice = Dice(seed, *scene_key(split, index), _WORLD)
    setting = dealt(seed, split, index)
    for _ in range(_TRIED):
        stage = setting(dice)
        if stage.seen:
            break
    return stage.scene


def make_figure(seed: int, split: str, index: int, height: int, width: int) -> Figure:
    """Render one picture.

    What it shows depends on (seed, split, index) alone: other sizes show the same. Arguments and errors are
    those of `make_scene`.
    """
    sensor = Dice(seed, *scene_key(split, index), _SENSOR)
    return render(sample_scene(seed, split, index), sensor, height, width)


class FiguresDataset(SyntheticDataset, PascalContextDataset):
    """Procedural people among vehicles, furniture and dogs in the PASCAL_MT layout, with its tasks."""

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

    def notes(self, root: Path) -> list[str]:
        """What the reader's notes say, and which of VOC's classes never occur."""
        return [*super().notes(root), f"classes that the figures never show: {', '.join(ABSENT)}"]

    def write_image(self, root: Path, recipe: Recipe, folder: str, index: int) -> None:
        """Render a picture into its six files; see `SyntheticDataset.write_image`."""
        name = image_id(folder, index)
        paths = files_of(root, name)
        if not all(path.exists() for path in paths.values()):
            figure = make_figure(recipe.seed, folder, index, recipe.height, recipe.width)
            for kind, content in contents(name, figure).items():
                write_bytes(paths[kind], content)

    def write_lists(self, root: Path, recipe: Recipe) -> None:
        """Write the lists of the splits."""
        write_sets(root, recipe.counts)

    def split(self, root: Path, name: str) -> PascalSplit:
        """Open a split; a DataError tells of fewer images than the recipe says."""
        self.check_counts(root, lambda folder: _images(root, folder))
        return super().split(root, name)

    def verify_files(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Check every file; pictures in no list are counted, too."""
        report = super().verify_files(root, progress)
        with contextlib.suppress(DataError):  # it is among the problems
            report.counts = {folder: _images(root, folder) for folder in ("train", "val")}
        return report

    def differences(self, root: Path, recipe: Recipe, folder: str, index: int) -> list[str]:
        """One line for each stored file of an image that is not what the renderer makes."""
        name = image_id(folder, index)
        figure = make_figure(recipe.seed, folder, index, recipe.height, recipe.width)
        problems = []
        for kind, content in contents(name, figure).items():
            path = files_of(root, name)[kind]
            try:
                stored, fresh = decoded(kind, path.read_bytes()), decoded(kind, content)
            except (OSError, ValueError, TypeError, LookupError, NotImplementedError) as error:
                problems.append(f"{path}: cannot be read: {error}")
                continue
            # another platform's JPEG coder may round otherwise: pictures are compared as decoded
            problems += compared(path, stored, fresh, _TOLERANCE[kind], most=0.02)
        return problems


def _images(root: Path, folder: str) -> int:
    """Pictures of a split in a folder; a DataError tells that it cannot be read."""
    place = files_of(root, image_id(folder, 0))["image"].parent
    names = names_in(place, hint=FiguresDataset.download) if is_folder(place) else []
    return sum(name.startswith(f"{folder}_") and name.endswith(".jpg") for name in names)


FIGURES = FiguresDataset()
