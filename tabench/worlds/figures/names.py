"""The names pieces carry: PASCAL-Context's classes, and PASCAL-Part's parts of people.

A piece's label is one of CONTEXT, or for people "person/PART". VOC's classes and the
numbers of the label files follow from it.
"""

from __future__ import annotations

from tabench.data.pascal.classes import CLASSES_21

IGNORE = 255  # as VOC stores it
PART_MARK = "/"

# Numbers of PASCAL-Context's 459 classes for those that occur here.
CONTEXT = {
    "aeroplane": 2,
    "bed": 18,
    "bicycle": 23,
    "bird": 25,
    "boat": 31,
    "book": 33,
    "bottle": 34,
    "building": 44,
    "bus": 45,
    "cabinet": 46,
    "car": 59,
    "cat": 65,
    "ceiling": 68,
    "chair": 72,
    "cow": 98,
    "cup": 104,
    "dog": 113,
    "fence": 144,
    "floor": 158,
    "grass": 187,
    "ground": 189,
    "horse": 207,
    "motorbike": 258,
    "mountain": 259,
    "ornament": 267,
    "person": 284,
    "picture": 287,
    "platform": 296,
    "pottedplant": 308,
    "road": 324,
    "runway": 332,
    "sand": 334,
    "sheep": 347,
    "sidewalk": 354,
    "sky": 360,
    "sofa": 368,
    "table": 397,
    "track": 415,
    "train": 416,
    "tree": 420,
    "tvmonitor": 427,
    "wall": 440,
    "water": 445,
    "window": 454,
}
# What the rooms of `scenes` call otherwise.
_OTHER_NAMES = {"books": "book", "furniture": "cabinet", "objects": "ornament", "tv": "tvmonitor"}


def context_name(label: str) -> str:
    """PASCAL-Context's class of a piece by its label."""
    name = label.partition(PART_MARK)[0]
    return _OTHER_NAMES.get(name, name)


def voc_class(label: str) -> int:
    """VOC's number (0 = background) of a piece by its label."""
    name = context_name(label)
    name = "diningtable" if name == "table" else name
    return CLASSES_21.index(name) if name in CLASSES_21 else 0


def part_name(label: str) -> str:
    """PASCAL-Part's name of a person's piece; empty for everything else."""
    return label.partition(PART_MARK)[2]
