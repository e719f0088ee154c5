"""One image of PASCAL_MT with its five targets, at the size it is trained and evaluated at."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tabench.data.base import Array, Sample
from tabench.data.checks import UNIT_TOLERANCE
from tabench.data.flip_turn import unless_empty
from tabench.data.folder_dataset import VERIFY
from tabench.data.images import read_png, resize_photo
from tabench.data.pascal.classes import VOC_COLOURS
from tabench.data.resampling import resize_nearest, resize_normals
from tabench.errors import DataError
from tabench.text import few

IGNORE, STORED_IGNORE = -1, 255
SALIENT = 0.5  # of png / 255
LENGTHS = (0.5, 1.5)  # of a stored normal; grey (length 0) and black (1.73) carry no direction


def sample_of(
    name: str,
    files: Mapping[str, Path],
    read: Mapping[str, Any],
    size: tuple[int, int],
    normal_classes: Collection[int] | None,
) -> Sample:
    """An image and its targets at `size` (H, W), whatever their aspect ratio.

    Image bicubic, labels nearest, normals bilinear and scaled back to unit length. Edges are drawn after
    resizing, so that no line is broken by it.

    Args:
        name: The sample's id.
        files: The image's files, for messages.
        read: What was read from each; "parts" may be absent or None.
        size: (H, W).
        normal_classes: LabelMap classes that normals are kept on; None keeps all valid normals.

    Raises:
        DataError: Labels are of another size than their image.
    """
    photo, parts = read["image"], read.get("parts")
    for kind in ("label", "context", "parts"):
        if read.get(kind) is not None:
            check_same_shape(files[kind], read[kind].shape, photo.shape[:2])
    context = resize_nearest(read["context"], *size)
    normal = resize_normals(read["normal"], *size)
    if normal_classes is not None:
        normal *= np.isin(context, list(normal_classes))
    image = np.ascontiguousarray(np.moveaxis(resize_photo(photo, size), 2, 0), dtype=np.float32)
    return Sample(
        name,
        image / np.float32(255),
        {
            "label": resize_nearest(read["label"], *size),
            "parts": np.full(size, IGNORE) if parts is None else unless_empty(resize_nearest(parts, *size)),
            "saliency": resize_nearest(read["saliency"], *size),
            "normal": normal,
            "edge": boundaries(context),
        },
    )


def read_label(path: Path, classes: int) -> npt.NDArray[np.int64]:
    """21-class labels (H, W) with -1 where 255 is stored; DataError for others and for colours not VOC's."""
    label = read_png(path).labels(VOC_COLOURS)
    label[label == STORED_IGNORE] = IGNORE
    outside = np.unique(label[label >= classes])
    if outside.size:
        raise DataError(
            f"labels {few(outside)} outside 0..{classes - 1} (and 255 for ignore)",
            where=str(path),
            hint=VERIFY,
        )
    return label


def read_saliency(path: Path) -> npt.NDArray[np.int64]:
    """1 where salient, 0 elsewhere, (H, W); DataError for what is not grey, or of 0 and 1 alone."""
    grey = read_png(path).greys()
    if grey.max() == 1:
        raise DataError(
            "holds 0 and 1 of 255, so no pixel would be salient",
            where=str(path),
            hint="if 1 means salient, save it again with 255 in its place",
        )
    return (grey / 255 > SALIENT).astype(np.int64)


def read_normals(path: Path) -> Array:
    """Unit normals (3, H, W); (0, 0, 0) where the stored vector has no direction.

    Stored is 255 * (n + 1) / 2. The field's own augmentation turns x and y like the image's axes (x right, y
    down) and mirrors x; whether z points away from the camera or to it, its code does not say, and no metric
    depends on it.

    Other greys, as of a border, carry no direction either unless their vector has length 1.

    Raises:
        DataError: Unreadable, or most vectors are not of length 1.
    """
    stored = np.moveaxis(2 * read_png(path).colours().astype(np.float32) / 255 - 1, 2, 0)
    length = np.linalg.norm(stored, axis=0)
    unit = np.abs(length - 1) <= UNIT_TOLERANCE
    grey = (stored[0] == stored[1]) & (stored[1] == stored[2])
    valid = (length > LENGTHS[0]) & (length < LENGTHS[1]) & (unit | ~grey)
    if 2 * np.count_nonzero(unit & valid) < np.count_nonzero(valid):
        raise DataError(
            f"{np.count_nonzero(unit & valid)} of {np.count_nonzero(valid)} vectors are within "
            f"{UNIT_TOLERANCE} of length 1: this is no picture of 255 (n + 1) / 2",
            where=str(path),
            hint=VERIFY,
        )
    return np.where(valid, stored / np.where(valid, length, 1), 0).astype(np.float32)


def boundaries(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """1 where the pixel to the right or below has another label, 0 elsewhere, (H, W).

    About one pixel wide by construction. The field thins the non-zero Laplacian of the labels instead: the
    same lines up to one pixel.
    """
    edge = np.zeros(labels.shape, np.int64)
    edge[:, :-1] |= labels[:, :-1] != labels[:, 1:]
    edge[:-1] |= labels[:-1] != labels[1:]
    return edge


def check_same_shape(path: Path, labels: tuple[int, ...], image: tuple[int, ...]) -> None:
    """Check that an image's labels have its (H, W); raises DataError."""
    if labels != image:
        problem = f"{labels[0]}x{labels[1]} labels, its image is {image[0]}x{image[1]}"
        raise DataError(problem, where=str(path), hint=VERIFY)
