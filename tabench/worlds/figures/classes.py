"""What a piece is for PASCAL's annotations: VOC's class, PASCAL-Context's class and PASCAL-Part's part.

A piece's label is a word for what it is; people's go on with "/" and the body part.
"""

from __future__ import annotations

from tabench.data.pascal.classes import CLASSES_21

SHOWN = ("person", "bicycle", "car", "chair", "diningtable", "dog", "pottedplant", "sofa", "tvmonitor")
ABSENT = tuple(name for name in CLASSES_21[1:] if name not in SHOWN)
_VOC = {"table": "diningtable", "plant": "pottedplant", "tv": "tvmonitor"}

_NUMBERS = {  # of PASCAL-Context's 459 classes
    18: "bed",
    23: "bicycle",
    33: "books",
    44: "building",
    46: "cabinet",
    59: "car",
    68: "ceiling",
    72: "chair",
    104: "cup",
    113: "dog",
    144: "fence",
    158: "floor rug",
    187: "grass",
    267: "ornament pillow lamp basket pole bin",
    284: "person",
    287: "picture",
    308: "plant",
    324: "road",
    354: "sidewalk",
    360: "sky",
    368: "sofa",
    397: "table",
    420: "tree bush hedge",
    427: "tv",
    440: "wall door",
    454: "window blind curtain curtainrod",
}
CONTEXT = {name: number for number, names in _NUMBERS.items() for name in names.split()}


def context_number(label: str) -> int:
    """PASCAL-Context's number of a piece by its label."""
    return CONTEXT[label.partition("/")[0]]


def voc_class(label: str) -> int:
    """VOC's number (0 = background) of a piece by its label."""
    name = label.partition("/")[0]
    name = _VOC.get(name, name)
    return CLASSES_21.index(name) if name in SHOWN else 0


def part_name(label: str) -> str:
    """PASCAL-Part's name of a person's piece; empty for everything else."""
    return label.partition("/")[2]
