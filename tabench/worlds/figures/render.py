"""From a scene to its picture and all of PASCAL-Context's targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.ndimage import binary_dilation

from tabench.data.pascal.classes import CLASSES_21, PERSON
from tabench.worlds.dice import Dice, Floats
from tabench.worlds.picture import take
from tabench.worlds.things import Scene
from tabench.worlds.tracing import trace

SHOWN = ("person", "car", "chair", "diningtable", "dog", "pottedplant", "sofa")
ABSENT = tuple(name for name in CLASSES_21[1:] if name not in SHOWN)
_VOC = {"table": "diningtable", "plant": "pottedplant"}
_NUMBERS = {  # of PASCAL-Context's 459 classes
    18: "bed",
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
IGNORE = 255  # as VOC stores it
Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
_VIEW = (72, 96)  # rows and columns on which saliency is decided, whatever the picture's size
_LEAST_AREA, _SHARE, _FURTHER = 0.01, 0.3, 1.6


@dataclass(frozen=True, eq=False)
class FigureObject:
    """A visible object of one of VOC's 20 classes."""

    number: int  # its class in VOC's order
    mask: Mask  # (H, W) where it is seen
    parts: dict[str, Mask]  # people only: PASCAL-Part's names and their masks, none empty

    @property
    def name(self) -> str:
        """Its class name."""
        return CLASSES_21[self.number]


@dataclass(frozen=True, eq=False)
class Figure:
    """One picture with exact targets."""

    image: Bytes  # (H, W, 3)
    semseg: Bytes  # (H, W) VOC's 21 classes, 255 along the objects' outlines
    objects: tuple[FigureObject, ...]  # those that are visible
    saliency: Mask  # (H, W) what stands out, see `salient`
    normal: Floats  # (H, W, 3) unit vectors facing the camera (x right, y down, z forward); 0 in the sky
    depth: Floats  # (H, W) metres along the optical axis
    context: npt.NDArray[np.uint16]  # (H, W) PASCAL-Context's 459 classes


def voc_class(label: str) -> int:
    """VOC's number (0 = background) of a piece by its label; people's go on with "/" and the body part."""
    name = label.partition("/")[0]
    name = _VOC.get(name, name)
    return CLASSES_21.index(name) if name in SHOWN else 0


def object_numbers(scene: Scene) -> npt.NDArray[np.int64]:
    """Number of the object each piece belongs to, from 1; 0 for background."""
    known: dict[tuple[int, str, int], int] = {}
    numbers = np.zeros(len(scene.pieces), dtype=np.int64)
    for k, piece in enumerate(scene.pieces):
        kind = voc_class(piece.label)
        if kind:
            key = (scene.things[k], piece.group.rpartition("/")[0], kind)
            numbers[k] = known.setdefault(key, len(known) + 1)
    return numbers


def render(scene: Scene, dice: Dice, height: int, width: int) -> Figure:
    """The picture of a scene at a size, with all its targets."""
    picture = take(scene, dice, height, width)
    labels = [piece.label for piece in scene.pieces]
    numbers, piece = object_numbers(scene), picture.piece
    kinds = np.array([voc_class(label) for label in labels], dtype=np.uint8)
    semseg = kinds[piece]
    semseg[outline(numbers[piece])] = IGNORE
    normal = picture.normal.copy()
    normal[picture.of_pieces([label == "sky" for label in labels])] = 0.0
    chosen = np.isin(scene.things, salient(scene)) & (numbers > 0)
    return Figure(
        np.rint(picture.image * 255.0).astype(np.uint8),
        semseg,
        _objects(scene, numbers, kinds, piece),
        chosen[piece],
        normal,
        picture.depth,
        picture.of_pieces([CONTEXT[label.partition("/")[0]] for label in labels]).astype(np.uint16),
    )


def outline(numbers: npt.NDArray[np.int64]) -> Mask:
    """Pixels along the borders of objects, as wide as VOC's: about 1% of the picture's width."""
    edge = np.zeros(numbers.shape, dtype=bool)
    edge[:, 1:] |= numbers[:, 1:] != numbers[:, :-1]
    edge[1:] |= numbers[1:] != numbers[:-1]
    grow = round(numbers.shape[1] / 200) - 1
    return np.asarray(binary_dilation(edge, iterations=grow) if grow > 0 else edge)


def salient(scene: Scene) -> list[int]:
    """The things that stand out: large in the picture, or beside a large one as near.

    Objects that belong together (people and the table they sit at) are one thing. Its weight is the visible
    area of its objects, each pixel counted 1 in the middle of the picture, falling to 1/2 in the corners. It
    stands out if it covers 1% of the picture, its weight is at least 30% of the heaviest one's, and its
    median depth at most 1.6 times that of the heaviest one. Decided on a view of fixed size.

    Returns:
        Numbers of the things, as the scene counts them.
    """
    height, width = _VIEW
    hits = trace(scene, height, width)
    named = object_numbers(scene) > 0
    found = np.where(named, np.array(scene.things), -1)[hits.piece]
    v, u = np.mgrid[0:height, 0:width]
    radius = np.hypot((u + 0.5) / width - 0.5, (v + 0.5) / height - 0.5).ravel() / np.hypot(0.5, 0.5)
    weight, away = {}, {}
    for thing in np.unique(found[found >= 0]):
        own = found == thing
        if own.mean() >= _LEAST_AREA:
            weight[int(thing)] = float((1.0 - 0.5 * radius)[own].sum())
            away[int(thing)] = float(np.median(hits.depth[own]))
    if not weight:
        return []
    first = max(weight, key=lambda thing: weight[thing])
    return [
        thing
        for thing in weight
        if weight[thing] >= _SHARE * weight[first] and away[thing] <= _FURTHER * away[first]
    ]


def _objects(
    scene: Scene, numbers: npt.NDArray[np.int64], kinds: Bytes, piece: npt.NDArray[np.int64]
) -> tuple[FigureObject, ...]:
    parts_of = np.array([piece.label.partition("/")[2] for piece in scene.pieces])
    seen, found = np.unique(piece), []
    for number in np.unique(numbers[seen])[np.unique(numbers[seen]) > 0]:
        members = seen[numbers[seen] == number]
        kind, names = int(kinds[members[0]]), parts_of[members]
        named = np.unique(names) if kind == PERSON else ()
        parts = {str(name): np.isin(piece, members[names == name]) for name in named}
        found.append(FigureObject(kind, np.isin(piece, members), parts))
    return tuple(found)
