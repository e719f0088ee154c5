"""Which files of CityScapes' archives or folders belong to one image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tabench.data.listing import is_file, is_folder
from tabench.data.prepare.archives import FileTree, open_tree
from tabench.data.prepare.guide import CITYSCAPES
from tabench.errors import DataError
from tabench.text import few

ARCHIVES = {
    "image": "leftImg8bit_trainvaltest.zip",
    "label": "gtFine_trainvaltest.zip",
    "depth": "disparity_trainvaltest.zip",
}
TREE = (
    "the tree is leftImg8bit/{train,val}/CITY/CITY_000000_000019_leftImg8bit.png, "
    "gtFine/{train,val}/CITY/CITY_000000_000019_gtFine_labelIds.png and "
    "disparity/{train,val}/CITY/CITY_000000_000019_disparity.png"
)
UNUSED = ("test", "train_extra", "demoVideo")  # parts of the dataset that nothing is trained or tested on
ENDINGS = {"image": "leftImg8bit", "label": "gtFine_labelIds", "depth": "disparity"}


@dataclass(frozen=True)
class TreeFile:
    """A file of a tree."""

    tree: FileTree
    name: str

    def read(self) -> bytes:
        """Its content; see `FileTree.read`."""
        return self.tree.read(self.name)

    def __str__(self) -> str:
        return self.tree.place(self.name)


@dataclass(frozen=True)
class Shot:
    """One image with its targets."""

    split: str  # "train" or "val"
    stem: str  # city and numbers, for example "aachen_000000_000019"
    files: dict[str, TreeFile]  # where "image", "label" and "depth" are


def open_trees(sources: Sequence[Path]) -> list[FileTree]:
    """The folders and archives that were given, and the official archives inside the folders."""
    trees: list[FileTree] = []
    for source in sources:
        trees.append(open_tree(source))
        if is_folder(source):
            trees += [open_tree(source / name) for name in ARCHIVES.values() if is_file(source / name)]
    return trees


def find_shots(trees: Sequence[FileTree], *, allow_missing: bool = False) -> tuple[list[Shot], list[str]]:
    """All images of train and val, in the order of their names; where a file is there twice the first counts.

    Returns:
        The images, and the names of those that were left out, as `allow_missing` allows.

    Raises:
        DataError: There is no image; or, unless that is allowed, some lack their photo, label or disparity,
            or files are not in the tree (names them).
    """
    found: dict[tuple[str, str], dict[str, TreeFile]] = {}
    astray: dict[str, str] = {}
    for tree in trees:
        for name in tree.sizes:
            kind = next((kind for kind, ending in ENDINGS.items() if name.endswith(f"_{ending}.png")), None)
            if kind is None:
                continue
            match = re.fullmatch(rf"(?:.*/)?([^/]+)/[^/]+/([^/]+)_{ENDINGS[kind]}\.png", name)
            if match and match[1] in ("train", "val"):
                found.setdefault((match[1], match[2]), {}).setdefault(kind, TreeFile(tree, name))
            elif not match or match[1] not in UNUSED:
                astray[tree.place(name)] = name
    given = ", ".join(str(tree.path) for tree in trees)
    if astray and not allow_missing:
        raise DataError(
            f"{len(astray)} files are in no city's folder of train or val: {few(astray)}",
            where=given,
            hint=f"{TREE}; give the folder above it, or do without these files: --allow-missing",
        )
    shots = sorted((Shot(*key, files) for key, files in found.items()), key=lambda s: (s.split, s.stem))
    whole = [shot for shot in shots if len(shot.files) == len(ENDINGS)]
    if not any("image" in shot.files for shot in shots) or (allow_missing and not whole):
        raise DataError("no leftImg8bit image of train or val", where=given, hint=f"{TREE}. {CITYSCAPES}")
    if not allow_missing:
        _check_whole(shots, given)
    left_out = [f"{shot.split}/{shot.stem}" for shot in shots if len(shot.files) < len(ENDINGS)]
    return whole, [*left_out, *astray.values()]


def _check_whole(shots: Sequence[Shot], given: str) -> None:
    for kind, ending in ENDINGS.items():
        lacking = [f"{shot.split}/{shot.stem}" for shot in shots if kind not in shot.files]
        if lacking:
            raise DataError(
                f"{len(lacking)} of {len(shots)} images have no *_{ending}.png: {few(lacking)}",
                where=given,
                hint=f"they are in {ARCHIVES[kind]}; or do without the images: --allow-missing. {CITYSCAPES}",
            )
