"""Stored figures against what the renderer makes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from tabench.data.matfile import read_mat
from tabench.worlds.figures.folder import contents, files_of, image_id
from tabench.worlds.figures.make import make_figure
from tabench.worlds.recipe import Recipe

# Another platform's rounding may move an edge by a pixel or a colour by a step, and its JPEG coder
# may round otherwise; both pictures are compared as decoded.
_DIFFERING_PIXELS = 0.02
_TOLERANCE = {"image": 16, "label": 0, "parts": 0, "normal": 2, "saliency": 0, "context": 0}


def differences(root: Path, recipe: Recipe, split: str, index: int) -> list[str]:
    """One line for each stored file of an image that is not what the renderer makes."""
    name = image_id(split, index)
    picture = make_figure(recipe.seed, split, index, recipe.height, recipe.width)
    problems = []
    for kind, content in contents(name, picture).items():
        path = files_of(root, name)[kind]
        try:
            stored, fresh = decoded(kind, path.read_bytes()), decoded(kind, content)
        except (OSError, ValueError, TypeError, LookupError, NotImplementedError) as error:
            problems.append(f"{path}: cannot be read: {error}")
            continue
        if stored.shape != fresh.shape:
            problems.append(f"{path}: shape {stored.shape}, the recipe renders {fresh.shape}")
            continue
        apart = np.abs(stored - fresh) > _TOLERANCE[kind]
        share = float((apart.any(axis=2) if apart.ndim == 3 else apart).mean())
        if share > _DIFFERING_PIXELS:
            problems.append(f"{path}: {100 * share:.1f}% of the pixels are not what the recipe renders")
    return problems


def decoded(kind: str, content: bytes) -> npt.NDArray[np.int64]:
    """The values of a file, (H, W), or the colours of a picture, (H, W, 3).

    Annotations become one number a pixel: the object's class and its part.
    """
    if kind == "context":
        return np.asarray(_variable(content, "LabelMap"), dtype=np.int64)
    if kind != "parts":
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image.convert("RGB"), dtype=np.int64)
    objects = _variable(content, "anno")[0, 0]["objects"].ravel()
    found: npt.NDArray[np.int64] = np.zeros((1, 1), dtype=np.int64)
    for item in objects:
        mask = item["mask"].astype(bool)
        found = np.where(mask, int(item["class_ind"].item()), found)
        for part in item["parts"].ravel():
            code = sum(ord(letter) * 31**k for k, letter in enumerate(str(part["part_name"][0])))
            found = np.where(part["mask"].astype(bool), 100 + code, found)
    return found


def _variable(content: bytes, name: str) -> npt.NDArray[Any]:
    return read_mat(content, [name])[name]
