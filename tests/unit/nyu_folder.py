"""Writes small folders in the NYUv2 layout."""

from pathlib import Path

import numpy as np


def image_arrays(number: int, height: int = 12, width: int = 16, dtype: str = "float32"):
    rng = np.random.default_rng(number)
    normal = rng.normal(size=(height, width, 3))
    normal /= np.linalg.norm(normal, axis=2, keepdims=True)
    normal[:2] = 0
    depth = rng.uniform(0.5, 9, (height, width, 1))
    depth[:, :1] = 0
    return {
        "image": rng.uniform(0, 1, (height, width, 3)).astype(dtype),
        "label": rng.integers(-1, 13, (height, width)).astype(dtype),
        "depth": depth.astype(dtype),
        "normal": normal.astype(dtype),
    }


def save(root: Path, folder: str, kind: str, number: int, array: np.ndarray) -> Path:
    path = root / folder / kind / f"{number}.npy"
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, array)
    return path


def write_folder(root: Path, train: int = 5, val: int = 3, **options) -> Path:
    for folder, count, offset in (("train", train, 0), ("val", val, 1000)):
        for number in range(count):
            for kind, array in image_arrays(number + offset, **options).items():
                save(root, folder, kind, number, array)
    return root
