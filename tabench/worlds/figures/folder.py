"""Figures on disk, in the layout of PASCAL_MT as it is distributed, byte for byte repeatable."""

from __future__ import annotations

import io
import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import numpy.typing as npt
from PIL import Image
from scipy.io import savemat

from tabench.data.matfile import read_mat
from tabench.data.pascal.classes import voc_palette
from tabench.data.pascal.files import LABEL_FOLDERS, PLACES, file_of, index_file, list_file
from tabench.store.atomic import write_bytes
from tabench.worlds.figures.render import Figure, FigureObject

_TEXT = 116  # bytes of free text that a v5 file begins with; SciPy puts the time and the platform there
_HEADER = b"MATLAB 5.0 MAT-file, synthetic figures".ljust(_TEXT)
JPEG_QUALITY = 95


def image_id(split: str, index: int) -> str:
    """Name of an image; all splits share the folders."""
    return f"{split}_{index:06d}"


def files_of(root: Path, name: str) -> dict[str, Path]:
    """Paths of an image and its targets, by kind."""
    label = root / LABEL_FOLDERS[0] / f"{name}.png"
    return {"label": label, **{kind: file_of(root, kind, name) for kind in PLACES}}


def contents(name: str, figure: Figure) -> dict[str, bytes]:
    """The files of one image, by kind."""
    label = Image.fromarray(figure.semseg)
    label.putpalette(voc_palette().ravel().tolist())
    normal = np.rint((figure.normal + 1.0) / 2.0 * 255.0).astype(np.uint8)  # no direction becomes grey, 128
    return {
        "image": _encoded(Image.fromarray(figure.image), "JPEG", quality=JPEG_QUALITY, subsampling=0),
        "label": _encoded(label, "PNG"),
        "parts": annotation(name, figure.objects),
        "normal": _encoded(Image.fromarray(normal), "PNG"),
        "saliency": _encoded(Image.fromarray(figure.saliency.astype(np.uint8) * 255), "PNG"),
        "context": _bytes({"LabelMap": figure.context}),
    }


def write_sets(root: Path, counts: Mapping[str, int]) -> None:
    """Write the lists of the splits, and which classes each image's annotations hold."""
    for split, count in counts.items():
        names = [image_id(split, index) for index in range(count)]
        write_bytes(list_file(root, split), ("\n".join(names) + "\n").encode())
        held = {name: annotated_classes(files_of(root, name)["parts"]) for name in names}
        lines = ",\n".join(f"\t{json.dumps(name)}: {json.dumps(classes)}" for name, classes in held.items())
        write_bytes(index_file(root, split), f"{{\n{lines}\n}}\n".encode())


def annotated_classes(path: Path) -> list[int]:
    """VOC's class numbers of the objects in an annotation file that this module wrote."""
    objects = read_mat(path.read_bytes(), ["anno"])["anno"][0, 0]["objects"]
    return [int(item["class_ind"].item()) for item in objects.ravel()] if objects.size else []


def _encoded(image: Image.Image, form: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()


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


def _structs(fields: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> npt.NDArray[Any]:
    """A MATLAB struct array (1, n)."""
    array = np.empty((1, len(rows)), dtype=[(field, object) for field in fields])
    array[0] = rows
    return array


def _bytes(variables: dict[str, object]) -> bytes:
    buffer = io.BytesIO()
    savemat(cast(Any, buffer), variables, format="5", do_compression=True)
    return _HEADER + buffer.getvalue()[_TEXT:]


def decoded(kind: str, content: bytes) -> npt.NDArray[np.int64]:
    """The values of a file, (H, W), or the colours of a picture, (H, W, 3).

    Annotations become one number a pixel: the object's class and its part.
    """
    if kind == "context":
        return np.asarray(read_mat(content, ["LabelMap"])["LabelMap"], dtype=np.int64)
    if kind != "parts":
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"), dtype=np.int64)
    objects = read_mat(content, ["anno"])["anno"][0, 0]["objects"].ravel()
    found: npt.NDArray[np.int64] = np.zeros((1, 1), dtype=np.int64)
    for item in objects:
        mask = item["mask"].astype(bool)
        found = np.where(mask, int(item["class_ind"].item()), found)
        for part in item["parts"].ravel():
            code = zlib.crc32(str(part["part_name"][0]).encode())
            found = np.where(part["mask"].astype(bool), 100 + code, found)
    return found
