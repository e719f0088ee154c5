"""Datasets that are generated from a recipe, in the layout of a real one that they stand in for."""

from __future__ import annotations

import hashlib
import io
import json
from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from tabench.data.array_dataset import ArrayDataset
from tabench.data.array_folders import file_of, npy_bytes
from tabench.data.base import Progress, VerifyReport
from tabench.data.folder_dataset import FolderDataset
from tabench.data.listing import is_empty, unreadable
from tabench.errors import DataError
from tabench.store.atomic import write_bytes
from tabench.store.encoding import parse_json

_LEAST = {"seed": 0, "train": 1, "val": 1, "height": 16, "width": 16, "generator": 1}


@dataclass(frozen=True)
class Recipe:
    """All that decides a generated folder's contents: seed, images, pixels, the generator's version."""

    seed: int
    train: int
    val: int
    height: int
    width: int
    generator: int = 1

    def __post_init__(self) -> None:
        for key, value in asdict(self).items():
            least = _LEAST[key]
            if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 2**53:
                raise DataError(
                    f"'{key}' is {value!r}",
                    where="recipe of a generated dataset",
                    hint=f"a whole number from {least} on",
                )

    @property
    def counts(self) -> dict[str, int]:
        """Images of each folder."""
        return {"train": self.train, "val": self.val}

    def to_json(self) -> str:
        """Canonical text: sorted keys, no spaces, whole numbers only."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    def fingerprint(self, dataset: str) -> str:
        """Fingerprint of the content, the same on any machine.

        It covers the recipe and not the files: renderers may differ in an image's last bit
        between platforms, and results must not be told apart by that.
        """
        return f"{dataset}-" + hashlib.sha256(self.to_json().encode()).hexdigest()


def read_recipe(path: Path) -> Recipe:
    """Read the recipe of a folder from its file.

    Raises:
        DataError: There is none, or it is damaged.
    """
    try:
        return Recipe(**parse_json(path.read_bytes()))
    except FileNotFoundError as error:
        hint = "leave --data-root out: the demo generates its data by itself"
        raise DataError(f"no {path.stem} have been generated here", where=str(path), hint=hint) from error
    except OSError as error:
        raise unreadable(error, path) from error
    except (DataError, ValueError, TypeError) as error:
        hint = "delete the folder and generate it again"
        raise DataError(f"not a recipe of generated images: {error}", where=str(path), hint=hint) from error


class SyntheticDataset(FolderDataset):
    """A generated dataset: known by its recipe, written image by image, resumable.

    Subclasses also derive from the real dataset's reader, after this class.

    Attributes:
        generator: Version of the generator; raised whenever any image changes.
        tolerance: For each kind of file, how far a stored value may be from the rendered one.
        most_apart: Share of an image's pixels that may be further, since another platform's rounding or JPEG
            coder may move an edge by a pixel or a colour by a step.
    """

    synthetic: ClassVar[bool] = True
    generator: ClassVar[int] = 1
    tolerance: ClassVar[Mapping[str, float]]
    most_apart: ClassVar[float] = 0.01

    @abstractmethod
    def files_of(self, root: Path, folder: str, index: int) -> Mapping[str, Path]:
        """The files of an image of "train" or "val", by kind."""

    @abstractmethod
    def render(self, recipe: Recipe, folder: str, index: int) -> Mapping[str, bytes]:
        """The content of each of these files."""

    @abstractmethod
    def decoded(self, kind: str, content: bytes) -> npt.NDArray[np.generic]:
        """The values (H, W) or (H, W, C) in a file that `render` wrote; raises ValueError for another."""

    def target_size(self, root: Path) -> tuple[int, int]:
        """(H, W) of a folder's recipe."""
        recipe = self.readable(root)
        return recipe.height, recipe.width

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
            paths = self.files_of(root, folder, index)
            if not all(path.exists() for path in paths.values()):
                for kind, content in self.render(recipe, folder, index).items():
                    if kind in paths:
                        write_bytes(paths[kind], content)
            if progress is not None:
                progress(done + 1, len(jobs), f"{folder}/{index}")
        self.write_lists(root, recipe)

    def split(self, root: Path, name: str) -> Any:
        """Open a split; a DataError tells of another number of images than the recipe says."""
        folder = self.folder_of(name)
        expected = self.readable(root).counts[folder]
        opened = super().split(root, folder)
        if len(opened) != expected:
            raise DataError(
                f"{len(opened)} images, the recipe says {expected}",
                where=str(root / folder),
                hint="call the generator with the same recipe again: it makes the missing ones",
            )
        return opened if name == folder else super().split(root, name)

    def verify(self, root: Path, progress: Progress | None = None) -> VerifyReport:
        """Check every file, the counts against the recipe, and two images against the generator."""
        try:
            recipe = self.readable(root)
        except DataError as error:
            return VerifyReport(root, problems=[f"{error.where}: {error.message}"])
        report = self.verify_files(root, progress)
        for folder, expected in recipe.counts.items():
            found = report.counts.get(folder, 0)
            if found != expected:
                report.problems.append(f"{root}: {folder} has {found} images, the recipe says {expected}")
        if not report.problems:
            for folder, index in (("train", 0), ("val", recipe.val - 1)):
                report.problems += self._differences(root, recipe, folder, index)
        report.fingerprint = "" if report.problems else recipe.fingerprint(self.name)
        return report

    def _differences(self, root: Path, recipe: Recipe, folder: str, index: int) -> list[str]:
        """One line for each stored file of an image that is not what the generator makes."""
        contents, problems = self.render(recipe, folder, index), list[str]()
        for kind, path in self.files_of(root, folder, index).items():
            fresh = self.decoded(kind, contents[kind])
            try:
                stored = self.decoded(kind, path.read_bytes())
            except (OSError, ValueError, TypeError, LookupError, NotImplementedError) as error:
                problems.append(f"{path}: cannot be read: {error}")
                continue
            if stored.shape != fresh.shape:
                problems.append(f"{path}: shape {stored.shape}, the recipe renders {fresh.shape}")
                continue
            apart = np.abs(stored.astype(np.float64) - fresh.astype(np.float64)) > self.tolerance[kind]
            share = float(apart.reshape(*apart.shape[:2], -1).any(axis=2).mean())
            if share > self.most_apart:
                problems.append(f"{path}: {100 * share:.1f}% of the pixels are not what the recipe renders")
        return problems

    def fingerprint(self, root: Path, progress: Progress | None = None, *, fresh: bool = False) -> str:
        """Fingerprint of the recipe, the same on any machine; raises as `readable` does."""
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
        """Write the recipe into a new folder; one that holds anything else is refused."""
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


class SyntheticArrayDataset(SyntheticDataset, ArrayDataset):
    """A generated dataset that is read as arrays; subclasses also derive from the real reader.

    `make_maps` renders image `index` of a split from a seed, height and width: an array of each kind.
    """

    make_maps: Callable[[int, str, int, int, int], dict[str, npt.NDArray[np.generic]]]

    def files_of(self, root: Path, folder: str, index: int) -> Mapping[str, Path]:
        """See `SyntheticDataset`."""
        return {kind: file_of(root, folder, name, index) for kind, name in self.folders(root).items()}

    def render(self, recipe: Recipe, folder: str, index: int) -> Mapping[str, bytes]:
        """See `SyntheticDataset`."""
        maps = self.make_maps(recipe.seed, folder, index, recipe.height, recipe.width)
        return {kind: npy_bytes(array) for kind, array in maps.items()}

    def decoded(self, kind: str, content: bytes) -> npt.NDArray[np.generic]:
        """See `SyntheticDataset`."""
        return np.asarray(np.load(io.BytesIO(content), allow_pickle=False))
