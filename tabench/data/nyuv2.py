"""NYUv2 as mtan pre-processed it, and the reader of any folder in its layout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from tabench.data.array_dataset import ArrayDataset
from tabench.data.prepare.guide import GUIDES

CLASSES_13 = (
    "bed", "books", "ceiling", "chair", "floor", "furniture", "objects", "picture", "sofa", "table", "tv",
    "wall", "window",
)  # fmt: skip


class NyuLayoutDataset(ArrayDataset):
    """Any folder in the NYUv2 layout; subclasses name the dataset.

    Splits: "train" and "val" are the two folders; "train-636" and "train-159" divide
    the training folder as the authors' code does (80/20 by the same generator if it does
    not hold 795 images).
    """

    kinds: ClassVar[tuple[str, ...]] = ("image", "label", "depth", "normal")
    class_names: ClassVar[tuple[str, ...]] = CLASSES_13
    task_channels: ClassVar[Mapping[str, int]] = {"segmentation": 13, "depth": 1, "normals": 3}
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "train-636", "train-159")
    holdout: ClassVar[tuple[str, ...]] = ("train-636", "train-159")
    largest: ClassVar[Mapping[str, float]] = {"depth": 10.0}  # what the sensor sees


class Nyuv2(NyuLayoutDataset):
    """NYU Depth v2: 795 training and 654 test images of 288x384 (mtan's pre-processing)."""

    name: ClassVar[str] = "nyuv2"
    title: ClassVar[str] = "NYUv2"
    size: ClassVar[tuple[int, int]] = (288, 384)
    published_counts: ClassVar[Mapping[str, int]] = {"train": 795, "val": 654}
    download: ClassVar[str] = (
        "download the pre-processed NYUv2 (288x384, 13 classes) linked from the README of "
        "github.com/lorenmt/mtan and unpack it so that ROOT/train/image/0.npy exists; "
        f"or build it from the dataset's own file: `{GUIDES['nyuv2'].command}`"
    )


NYUV2 = Nyuv2()
