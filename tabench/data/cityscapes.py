"""CityScapes as pre-processed for mtan and LibMTL: 7, 19 or 2 classes and disparity.

What the layout keeps in `depth/` is not metres: it is the disparity of the dataset's own stereo
matcher, rescaled to 0..0.4922, with many pixels (sky, reflections, what one camera does not see)
left at 0. Here it is a target of its own kind, "disparity".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tabench.data.array_dataset import ArrayDataset
from tabench.data.folder_dataset import FOLDERS
from tabench.data.listing import is_folder
from tabench.data.prepare.guide import GUIDES

CLASSES_7 = ("flat", "construction", "object", "nature", "sky", "human", "vehicle")
CLASSES_19 = (
    "road", "sidewalk", "building", "wall", "fence", "pole", "traffic light", "traffic sign", "vegetation",
    "terrain", "sky", "person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle",
)  # fmt: skip
MOST_DISPARITY = 0.4922
FROM_ARCHIVES = f"or build it from the dataset's own archives: `{GUIDES['cityscapes'].command}`"


class CityscapesLayoutDataset(ArrayDataset):
    """Any folder in the CityScapes layout; subclasses name the dataset and its classes.

    Splits: "train" and "val" are the two folders (val holds the 500 images results are reported on);
    "train-fit" and "train-select" divide the training folder 80/20, 2380 and 595 of the 2975.

    Attributes:
        label_folders: Folders that may hold the labels; the first that exists is read.
    """

    kinds: ClassVar[tuple[str, ...]] = ("image", "label", "disparity")
    splits: ClassVar[tuple[str, ...]] = ("train", "val", "train-fit", "train-select")
    holdout: ClassVar[tuple[str, ...]] = ("train-fit", "train-select")
    label_folders: ClassVar[tuple[str, ...]]
    largest: ClassVar[Mapping[str, float]] = {"disparity": MOST_DISPARITY}

    def folders(self, root: Path) -> dict[str, str]:
        """Folder name of each kind; train and val share the labels' folder, so that they cannot be mixed."""
        here = (name for name in self.label_folders for part in FOLDERS if is_folder(root / part / name))
        return {"image": "image", "label": next(here, self.label_folders[0]), "disparity": "depth"}


class Cityscapes(CityscapesLayoutDataset):
    """CityScapes with its 7 categories: 2975 training and 500 validation images of 128x256."""

    name: ClassVar[str] = "cityscapes"
    title: ClassVar[str] = "CityScapes"
    class_names: ClassVar[tuple[str, ...]] = CLASSES_7
    task_channels: ClassVar[Mapping[str, int]] = {"segmentation": 7, "disparity": 1}
    label_folders: ClassVar[tuple[str, ...]] = ("label_7", "label")
    size: ClassVar[tuple[int, int]] = (128, 256)
    published_counts: ClassVar[Mapping[str, int]] = {"train": 2975, "val": 500}
    download: ClassVar[str] = (
        "download the pre-processed CityScapes (128x256) linked from the READMEs of github.com/lorenmt/mtan "
        "and github.com/median-research-group/LibMTL and unpack it so that ROOT/train/image/0.npy exists, "
        f"with the 7 classes in label_7 or label; {FROM_ARCHIVES}"
    )


class Cityscapes19(Cityscapes):
    """CityScapes with the 19 classes of its benchmark."""

    name: ClassVar[str] = "cityscapes-19"
    title: ClassVar[str] = "CityScapes, 19 classes"
    class_names: ClassVar[tuple[str, ...]] = CLASSES_19
    task_channels: ClassVar[Mapping[str, int]] = {"segmentation": 19, "disparity": 1}
    label_folders: ClassVar[tuple[str, ...]] = ("label_19",)
    download: ClassVar[str] = (
        "download the pre-processed CityScapes (128x256) linked from the README of github.com/lorenmt/mtan "
        "and unpack it so that ROOT/train/image/0.npy and ROOT/train/label_19/0.npy exist; "
        f"{FROM_ARCHIVES}, which has label_19"
    )


class Cityscapes2(Cityscapes):
    """CityScapes with two classes, read from label_2 alone: how they merge the others is not known here."""

    name: ClassVar[str] = "cityscapes-2"
    title: ClassVar[str] = "CityScapes, 2 classes"
    class_names: ClassVar[tuple[str, ...]] = ("0", "1")
    task_channels: ClassVar[Mapping[str, int]] = {"segmentation": 2, "disparity": 1}
    label_folders: ClassVar[tuple[str, ...]] = ("label_2",)
    download: ClassVar[str] = (
        "put the two-class labels (0, 1; -1 = ignore) in ROOT/train/label_2 and ROOT/val/label_2; they are "
        "not derived from label_7, since no source states which classes are merged. All but them is written "
        f"by `{GUIDES['cityscapes'].command}`"
    )


CITYSCAPES = Cityscapes()
CITYSCAPES_19 = Cityscapes19()
CITYSCAPES_2 = Cityscapes2()
