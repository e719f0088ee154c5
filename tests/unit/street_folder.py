"""Writes small folders in the CityScapes layout."""

from pathlib import Path

import numpy as np
from nyu_folder import save


def street_arrays(number: int, classes: int = 7, height: int = 12, width: int = 24):
    rng = np.random.default_rng(number)
    disparity = rng.uniform(0.001, 0.49, (height, width, 1))
    disparity[:3] = 0
    return {
        "image": rng.uniform(0, 1, (height, width, 3)).astype("float32"),
        "label": rng.integers(-1, classes, (height, width)).astype("float32"),
        "depth": disparity.astype("float32"),
    }


def write_streets(
    root: Path, train: int = 5, val: int = 3, labels: str = "label_7", classes: int = 7, **options
) -> Path:
    for folder, count, offset in (("train", train, 0), ("val", val, 1000)):
        for number in range(count):
            for name, array in street_arrays(number + offset, classes, **options).items():
                save(root, folder, labels if name == "label" else name, number, array)
    return root
