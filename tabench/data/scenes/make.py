"""Making scenes: one in memory, or a whole folder in NYUv2's layout."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tabench.data.base import Progress
from tabench.data.layout import KINDS, file_of
from tabench.data.scenes.dice import Dice, scene_key
from tabench.data.scenes.recipe import FILE, Recipe, read_recipe
from tabench.data.scenes.render import render
from tabench.data.scenes.rooms import sample_scene
from tabench.errors import DataError
from tabench.store.atomic import write_bytes

_ROOM, _SENSOR = 0, 1


def make_scene(
    seed: int, split: str, index: int, height: int, width: int
) -> dict[str, npt.NDArray[np.generic]]:
    """Render one scene.

    The room depends on (seed, split, index) alone: other sizes show the same room.

    Args:
        seed: Seed of the dataset.
        split: "train", "val" or "pretrain" (kept apart for pretraining).
        index: Number of the image.
        height: Pixels.
        width: Pixels.

    Returns:
        "image" (H, W, 3) float32 in multiples of 1/255; "label" (H, W) float32, 0..12 or
        -1; "depth" (H, W, 1) float32 metres along the optical axis, 0 = invalid; "normal"
        (H, W, 3) float32 unit vectors (x right, y down, z forward, facing the camera),
        0 = invalid; "instance" (H, W) int32, from 1, one number an object or part of it.

    Raises:
        DataError: The split is unknown.
    """
    key = scene_key(split, index)
    scene = sample_scene(Dice(seed, *key, _ROOM))
    return render(scene, Dice(seed, *key, _SENSOR), height, width)


def make_scenes(
    root: Path | str,
    *,
    seed: int,
    train: int,
    val: int,
    height: int,
    width: int,
    progress: Progress | None = None,
) -> Recipe:
    """Write {train,val}/{image,label,depth,normal}/{i}.npy and scenes.json.

    Each file appears whole or not at all, and images that are complete are left alone, so
    a stopped run is finished by calling it again.

    Raises:
        DataError: The folder holds scenes of another recipe, or other data.
        StoreError: A file cannot be written.
    """
    root, recipe = Path(root), Recipe(seed, train, val, height, width)
    _claim(root, recipe)
    jobs = [(split, i) for split, count in (("train", train), ("val", val)) for i in range(count)]
    for done, (split, index) in enumerate(jobs):
        paths = {kind: file_of(root, split, kind, index) for kind in KINDS}
        if not all(path.exists() for path in paths.values()):
            scene = make_scene(seed, split, index, height, width)
            for kind, path in paths.items():
                _save(path, scene[kind])
        if progress is not None:
            progress(done + 1, len(jobs), f"{split}/{index}")
    return recipe


def _claim(root: Path, recipe: Recipe) -> None:
    if (root / FILE).exists():
        held = read_recipe(root)
        if held != recipe:
            raise DataError(
                f"this folder holds scenes of another recipe: {held.to_json()}, asked for {recipe.to_json()}",
                where=str(root / FILE),
                hint="choose another folder or delete this one",
            )
        return
    if root.exists() and not (root.is_dir() and not any(root.iterdir())):
        raise DataError(
            "the path is taken by something that is not generated scenes",
            where=str(root),
            hint="choose an empty or a new folder",
        )
    write_bytes(root / FILE, (recipe.to_json() + "\n").encode())


def _save(path: Path, array: npt.NDArray[np.generic]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, array, allow_pickle=False)
    write_bytes(path, buffer.getvalue())
