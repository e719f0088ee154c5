"""Which files of CityScapes' archives or folders belong to one image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tabench.data.prepare.guide import CITYSCAPES
from tabench.data.prepare.tree import FileTree, open_tree
from tabench.errors import DataError

ARCHIVES = {
    "image": "leftImg8bit_trainvaltest.zip",
    "label": "gtFine_trainvaltest.zip",
    "depth": "disparity_trainvaltest.zip",
}
ENDINGS = {"image": "leftImg8bit", "label": "gtFine_labelIds", "depth": "disparity"}
SHOWN = 8


@dataclass(frozen=True)
class Place:
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
    """One image with its targets.

    Attributes:
        split: "train" or "val".
        stem: City and numbers, for example "aachen_000000_000019".
        places: Where "image", "label" and "depth" are.
    """

    split: str
    stem: str
    places: dict[str, Place]


def open_trees(sources: Sequence[Path]) -> list[FileTree]:
    """The folders and archives that were given, and the official archives inside the folders.

    Raises:
        DataError: A source is not there, or an archive is unsafe or damaged.
    """
    trees: list[FileTree] = []
    for source in sources:
        trees.append(open_tree(source))
        if source.is_dir():
            inside = (source / name for name in ARCHIVES.values())
            trees.extend(open_tree(path) for path in inside if path.is_file())
    return trees


def find_shots(trees: Sequence[FileTree]) -> list[Shot]:
    """All images of train and val, in the order of their names; where a file is there twice the first counts.

    Raises:
        DataError: There is no image, or images lack a label or a disparity (names them).
    """
    found: dict[tuple[str, str], dict[str, Place]] = {}
    for tree in trees:
        for name in tree.sizes:
            for kind, ending in ENDINGS.items():
                match = re.fullmatch(rf"(?:.*/)?(train|val)/[^/]+/([^/]+)_{ending}\.png", name)
                if match:
                    found.setdefault((match[1], match[2]), {}).setdefault(kind, Place(tree, name))
    shots = [Shot(split, stem, places) for (split, stem), places in found.items() if "image" in places]
    if not shots:
        given = ", ".join(str(tree.path) for tree in trees)
        raise DataError("no leftImg8bit image of train or val", where=given, hint=CITYSCAPES)
    for kind in ("label", "depth"):
        lacking = sorted(f"{shot.split}/{shot.stem}" for shot in shots if kind not in shot.places)
        if lacking:
            more = f" and {len(lacking) - SHOWN} more" if len(lacking) > SHOWN else ""
            raise DataError(
                f"{len(lacking)} of {len(shots)} images have no *_{ENDINGS[kind]}.png: "
                f"{', '.join(lacking[:SHOWN])}{more}",
                where=", ".join(str(tree.path) for tree in trees),
                hint=f"they are in {ARCHIVES[kind]}. {CITYSCAPES}",
            )
    return sorted(shots, key=lambda shot: (shot.split, shot.stem))
