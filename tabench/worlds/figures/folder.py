"""Figures on disk, in the layout of PASCAL_MT as it is distributed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tabench.data.matfile import read_mat
from tabench.data.pascal.classes import voc_palette
from tabench.data.pascal.files import LABEL_FOLDERS, PLACES, file_of, index_file, list_file
from tabench.store.atomic import write_bytes
from tabench.worlds.figures.make import make_figure
from tabench.worlds.figures.matfile import annotation, label_map
from tabench.worlds.figures.render import Picture
from tabench.worlds.recipe import Recipe

JPEG_QUALITY = 95


def image_id(split: str, index: int) -> str:
    """Name of an image; all splits share the folders."""
    return f"{split}_{index:06d}"


def files_of(root: Path, name: str) -> dict[str, Path]:
    """Paths of an image and its targets, by kind."""
    label = root / LABEL_FOLDERS[0] / f"{name}.png"
    return {"label": label, **{kind: file_of(root, kind, name) for kind in PLACES}}


def write_figure(root: Path, recipe: Recipe, split: str, index: int) -> None:
    """Render one image and write its files, each whole; nothing if all are there."""
    name = image_id(split, index)
    paths = files_of(root, name)
    if all(path.exists() for path in paths.values()):
        return
    picture = make_figure(recipe.seed, split, index, recipe.height, recipe.width)
    for kind, content in contents(name, picture).items():
        write_bytes(paths[kind], content)


def contents(name: str, picture: Picture) -> dict[str, bytes]:
    """The files of one image, by kind."""
    return {
        "image": _encoded(Image.fromarray(picture.image), "JPEG", quality=JPEG_QUALITY, subsampling=0),
        "label": _encoded(_indexed(picture.semseg), "PNG"),
        "parts": annotation(name, picture.objects),
        "normal": _encoded(Image.fromarray(coded_normals(picture.normal)), "PNG"),
        "saliency": _encoded(Image.fromarray(picture.saliency.astype(np.uint8) * 255), "PNG"),
        "context": label_map(picture.context),
    }


def coded_normals(normal: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """Unit vectors as bytes, (n + 1) / 2 * 255; no direction becomes grey, 128."""
    return np.rint((normal + 1.0) / 2.0 * 255.0).astype(np.uint8)


def write_sets(root: Path, recipe: Recipe) -> None:
    """Write the lists of the splits, and which classes each image's annotations hold."""
    for split, count in recipe.counts.items():
        names = [image_id(split, index) for index in range(count)]
        write_bytes(list_file(root, split), ("\n".join(names) + "\n").encode())
        held = {name: annotated_classes(files_of(root, name)["parts"]) for name in names}
        lines = ",\n".join(f"\t{json.dumps(name)}: {json.dumps(classes)}" for name, classes in held.items())
        write_bytes(index_file(root, split), f"{{\n{lines}\n}}\n".encode())


def annotated_classes(path: Path) -> list[int]:
    """VOC's class numbers of the objects in an annotation file that this module wrote."""
    objects = read_mat(path.read_bytes(), ["anno"])["anno"][0, 0]["objects"]
    return [int(item["class_ind"].item()) for item in objects.ravel()] if objects.size else []


def _indexed(labels: npt.NDArray[np.uint8]) -> Image.Image:
    """A palette image in VOC's colours, whose values are the labels."""
    image = Image.fromarray(labels)
    image.putpalette(voc_palette().ravel().tolist())
    return image


def _encoded(image: Image.Image, form: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format=form, **options)
    return buffer.getvalue()
