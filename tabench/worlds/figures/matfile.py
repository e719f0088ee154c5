"""MATLAB v5 files of PASCAL-Part's annotations and PASCAL-Context's label maps, byte for byte repeatable."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from scipy.io import savemat

from tabench.worlds.figures.render import FigureObject

_TEXT = 116  # bytes of free text that a v5 file begins with; SciPy puts the time and the platform there
_HEADER = b"MATLAB 5.0 MAT-file, synthetic figures".ljust(_TEXT)


def annotation(name: str, objects: tuple[FigureObject, ...]) -> bytes:
    """`anno` of one image: imname, and objects with class, class_ind, mask and parts.

    Parts have part_name and mask; only people have any, and an object without parts holds an
    empty matrix there, as the real files do.
    """
    rows: list[tuple[Any, ...]] = []
    for item in objects:
        parts = [(part, mask.astype(np.uint8)) for part, mask in item.parts.items()]
        held = _structs(("part_name", "mask"), parts) if parts else np.zeros((0, 0))
        rows.append((item.name, item.number, item.mask.astype(np.uint8), held))
    held = _structs(("class", "class_ind", "mask", "parts"), rows)
    return _bytes({"anno": {"imname": name, "objects": held}})


def label_map(labels: npt.NDArray[np.uint16]) -> bytes:
    """`LabelMap` of one image, (H, W)."""
    return _bytes({"LabelMap": labels})


def _structs(fields: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> npt.NDArray[Any]:
    """A MATLAB struct array (1, n)."""
    array = np.empty((1, len(rows)), dtype=[(field, object) for field in fields])
    for k, row in enumerate(rows):
        for field, value in zip(fields, row, strict=True):
            array[field][0, k] = value
    return array


def _bytes(variables: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    savemat(cast(Any, buffer), variables, format="5", do_compression=True)
    return _HEADER + buffer.getvalue()[_TEXT:]
