"""Small folders in the layout of PASCAL_MT for the battery of `test_datasets`, and ways to damage them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from tabench.data.figures import FIGURES
from tabench.data.pascal import PascalContextDataset


def make_folder(dataset: PascalContextDataset, root: Path, **sizes: int) -> None:
    """Synthetic figures at `root`, without their recipe for a dataset that has none."""
    FIGURES.make(root, FIGURES.recipe(**sizes))
    if not dataset.synthetic:
        (root / FIGURES.recipe_file).unlink()


def spoil_label(root: Path) -> Path:
    """Store the label 99 for the fourth training image; returns the file."""
    path = root / "semseg" / "VOC12" / "train_000003.png"
    with Image.open(path) as image:
        shape = (image.height, image.width)
    Image.fromarray(np.full(shape, 99, np.uint8)).save(path)
    return path


def drop_target(root: Path) -> str:
    """Remove one target of the third training image; returns the words that name it."""
    (root / "sal_distill" / "train_000002.png").unlink()
    return "train/train_000002 lacks saliency"


def change_image(root: Path) -> None:
    """Turn the first validation image upside down."""
    path = root / "JPEGImages" / "val_000000.jpg"
    with Image.open(path) as image:
        turned = np.asarray(image)[::-1]
    Image.fromarray(turned).save(path)
