"""The class maps of NYU Depth v2: 894 names -> 40 classes -> the 13 that are scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tabench.data.array_folders import IGNORE
from tabench.data.matfile import read_mat_file
from tabench.data.prepare.guide import NYU_MAP
from tabench.data.prepare.matlab import LARGEST_V5, whole_numbers
from tabench.errors import DataError

NAME = "classMapping40.mat"
# Class 1..40 -> 1..13 (Couprie et al. 2013, in the order of data.nyuv2.CLASSES_13), as in
# class13Mapping.mat of github.com/ankurhanda/nyuv2-meta-data and five public programs.
FROM_40 = (
    *(12, 5, 6, 1, 4, 9, 10, 12, 13, 6),  # wall floor cabinet bed chair sofa table door window bookshelf
    *(8, 6, 13, 10, 6, 13, 6, 7, 7, 5),  # picture counter blinds desk shelves curtain dresser ... floor mat
    *(7, 3, 2, 6, 11, 7, 7, 7, 7, 7),  # clothes ceiling books refrigerator television paper ... whiteboard
    *(7, 6, 7, 7, 7, 7, 7, 7, 6, 7),  # person night stand toilet ... other structure, furniture, prop
)


def read_class_map(path: Path, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """The map from the file's label numbers to the 13 classes.

    Args:
        path: classMapping40.mat.
        names: Class names of the labelled set, in the order of its label numbers from 1.

    Returns:
        (1 + number of names,) int64: entry 0 (unlabelled) is -1, the others are 0..12.

    Raises:
        DataError: Not such a file, or a map for other names than these.
    """
    held = read_mat_file(path, ("mapClass", "allClassName"), NYU_MAP, LARGEST_V5)
    to_40 = whole_numbers(held.get("mapClass"), "mapClass", path, NYU_MAP)
    if to_40.size != len(names):
        raise DataError(
            f"'mapClass' maps {to_40.size} names, the labelled set has {len(names)}",
            where=str(path),
            hint=NYU_MAP,
        )
    outside = to_40[(to_40 < 1) | (to_40 > len(FROM_40))]
    if outside.size:
        raise DataError(
            f"'mapClass' holds {outside[0]}, expected 1..{len(FROM_40)}", where=str(path), hint=NYU_MAP
        )
    if "allClassName" in held:
        _same_names([_text(cell) for cell in held["allClassName"].ravel()], names, path)
    return np.concatenate([[IGNORE], np.asarray(FROM_40)[to_40 - 1] - 1])


def map_labels(
    labels: npt.NDArray[np.int64], classes: npt.NDArray[np.int64], where: str
) -> npt.NDArray[np.float32]:
    """Labels of the labelled set as classes 0..12, -1 = ignore.

    Raises:
        DataError: A label number that the map does not have.
    """
    highest = int(labels.max())
    if highest >= len(classes) or int(labels.min()) < 0:
        raise DataError(
            f"label {highest} is outside the map's 0..{len(classes) - 1}",
            where=where,
            hint=f"the class map is not that of this file; {NYU_MAP}",
        )
    return classes[labels].astype(np.float32)


def _same_names(mapped: Sequence[str], names: Sequence[str], path: Path) -> None:
    for number, (one, other) in enumerate(zip(mapped, names, strict=False), start=1):
        if one != other:
            raise DataError(
                f"'allClassName' {number} is '{one}', the labelled set has '{other}' there",
                where=str(path),
                hint=f"the map is for another order of the names; {NYU_MAP}",
            )


def _text(cell: object) -> str:
    inner = np.asarray(cell)
    return str(inner.ravel()[0]) if inner.size and inner.dtype.kind == "U" else ""
