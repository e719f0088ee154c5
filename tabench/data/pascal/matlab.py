"""Reads the two kinds of MATLAB v5 files of PASCAL_MT: PASCAL-Context's LabelMap and PASCAL-Part's anno.

`read_mat_file` decodes them without running anything. Structure, names and sizes are checked before use.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tabench.data.matfile import read_mat_file
from tabench.data.pascal.classes import CONTEXT_CLASSES, PART_INDEX, PERSON
from tabench.errors import DataError

UNPACK = "unpack this file again from PASCAL_MT.tgz"


def read_label_map(path: Path) -> npt.NDArray[np.int64]:
    """The 459-class labels (H, W) of an image, 0 where there is none; raises DataError for other files."""
    labels = _variable(path, "LabelMap")
    if labels.ndim != 2 or 0 in labels.shape or labels.dtype.kind not in "uif":
        raise _wrong(
            path, f"LabelMap of shape {labels.shape} and type {labels.dtype}, expected (H, W) numbers"
        )
    if not np.isfinite(labels).all() or (labels != np.rint(labels)).any():
        raise _wrong(path, "LabelMap holds labels that are not whole numbers")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high > CONTEXT_CLASSES:
        raise _wrong(path, f"LabelMap holds labels {low}..{high}, expected 0..{CONTEXT_CLASSES}")
    return labels.astype(np.int64)


def read_parts(path: Path) -> npt.NDArray[np.int64] | None:
    """Person parts (H, W) of an image from PASCAL-Part's annotation: 0 background, 1..6 as in `PARTS_7`.

    Later objects and parts cover earlier ones, as in the field's loaders. Persons without annotated parts are
    background; None if no person with parts is in the image.

    Raises:
        DataError: Missing, corrupt, of another structure, or with masks of several sizes or unknown parts.
    """
    target: npt.NDArray[np.int64] | None = None
    for kind, parts in _objects(path):
        for part in parts if kind == PERSON else []:
            name = _text(path, part, "part_name")
            if name not in PART_INDEX:
                raise _wrong(path, f"unknown part of a person: '{name}'")
            mask = _field(path, part, "mask")
            target = np.zeros(mask.shape, np.int64) if target is None else target
            if mask.ndim != 2 or mask.shape != target.shape or mask.dtype.kind not in "uifb":
                shape = "x".join(map(str, mask.shape))
                raise _wrong(path, f"mask of '{name}' is {shape} of type {mask.dtype}, unlike others")
            target[mask.astype(bool)] = PART_INDEX[name]
    return target


def _objects(path: Path) -> Iterator[tuple[int, list[Any]]]:
    """(class_ind, parts) of every object; `parts` is empty where MATLAB stored []."""
    anno = _variable(path, "anno")
    if anno.size != 1:
        raise _wrong(path, f"'anno' holds {anno.size} structs, expected 1")
    for item in _field(path, anno.flat[0], "objects").flat:
        kind = _field(path, item, "class_ind")
        if kind.size != 1 or kind.dtype.kind not in "uif":
            raise _wrong(path, "an object's class_ind is not one number")
        parts = _field(path, item, "parts")
        yield int(kind.flat[0]), list(parts.flat)


def _field(path: Path, struct: Any, name: str) -> npt.NDArray[Any]:
    names = getattr(getattr(struct, "dtype", None), "names", None) or ()
    if name not in names:
        held = ", ".join(names) or "no struct"
        raise _wrong(path, f"no field '{name}' (there is: {held})")
    return np.asarray(struct[name])


def _text(path: Path, struct: Any, name: str) -> str:
    value = _field(path, struct, name)
    if value.dtype.kind != "U" or value.size != 1:
        raise _wrong(path, f"field '{name}' is not a text")
    return str(value.flat[0])


def _variable(path: Path, name: str) -> npt.NDArray[Any]:
    held = read_mat_file(path, [name], UNPACK)
    if name not in held:
        raise _wrong(path, f"no variable '{name}' in it")
    return held[name]


def _wrong(path: Path, problem: str) -> DataError:
    return DataError(problem, where=str(path), hint=UNPACK)
