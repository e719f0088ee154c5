"""From a scene to its picture and all targets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tabench.data.figures.names import (
    CONTEXT,
    IGNORE,
    PERSON,
    VOC_CLASSES,
    context_name,
    part_name,
    voc_class,
)
from tabench.data.figures.surfaces import PATTERNS
from tabench.data.scenes.camera import intrinsics
from tabench.data.scenes.dice import Dice, Floats
from tabench.data.scenes.render import colours, develop, trace
from tabench.data.scenes.scene import Scene

Mask = npt.NDArray[np.bool_]
Bytes = npt.NDArray[np.uint8]
_VIEW = (72, 96)  # rows and columns on which saliency is decided, whatever the picture's size
_LEAST_AREA, _SHARE, _FURTHER = 0.01, 0.3, 1.6


@dataclass(frozen=True, eq=False)
class FigureObject:
    """A visible object of one of VOC's 20 classes.

    Attributes:
        number: Its class in VOC's order.
        mask: (H, W) where it is seen.
        parts: People only: PASCAL-Part's names and their masks, none empty.
    """

    number: int
    mask: Mask
    parts: dict[str, Mask]

    @property
    def name(self) -> str:
        """Its class name."""
        return VOC_CLASSES[self.number]


@dataclass(frozen=True, eq=False)
class Picture:
    """One picture with exact targets.

    Attributes:
        image: (H, W, 3) uint8.
        semseg: (H, W) uint8, VOC's 21 classes, 255 along the objects' outlines.
        objects: The visible objects.
        saliency: (H, W) what stands out, see `salient`.
        normal: (H, W, 3) float64 unit vectors facing the camera (x right, y down, z forward).
        depth: (H, W) metres along the optical axis.
        context: (H, W) uint16, PASCAL-Context's 459 classes.
    """

    image: Bytes
    semseg: Bytes
    objects: tuple[FigureObject, ...]
    saliency: Mask
    normal: Floats
    depth: Floats
    context: npt.NDArray[np.uint16]


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


def render(scene: Scene, dice: Dice, height: int, width: int) -> Picture:
    """The picture of a scene at a size, with all its targets."""
    hits = trace(scene, height, width)
    rays = scene.camera.rays(height, width).reshape(-1, 3)
    light = colours(scene, hits, rays, intrinsics(height, width)[0], PATTERNS)
    image = np.rint(develop(light.reshape(height, width, 3), dice) * 255.0).astype(np.uint8)
    piece = hits.piece.reshape(height, width)
    numbers = object_numbers(scene)
    kinds = np.array([voc_class(item.label) for item in scene.pieces], dtype=np.uint8)
    context = np.array([CONTEXT[context_name(item.label)] for item in scene.pieces], dtype=np.uint16)
    objects = _objects(scene, numbers, kinds, piece)
    semseg = kinds[piece]
    semseg[outline(numbers[piece])] = IGNORE
    chosen = np.isin(numbers, salient(scene, numbers))
    return Picture(
        image,
        semseg,
        objects,
        chosen[piece],
        (hits.normals @ scene.camera.axes).reshape(height, width, 3),
        hits.depth.reshape(height, width),
        context[piece],
    )


def outline(numbers: npt.NDArray[np.int64]) -> Mask:
    """Pixels along the borders of objects, as wide as VOC's: about 1% of the picture's width."""
    edge = np.zeros(numbers.shape, dtype=bool)
    edge[:, 1:] |= numbers[:, 1:] != numbers[:, :-1]
    edge[1:] |= numbers[1:] != numbers[:-1]
    for _ in range(round(numbers.shape[1] / 200) - 1):
        grown = edge.copy()
        grown[1:] |= edge[:-1]
        grown[:-1] |= edge[1:]
        grown[:, 1:] |= edge[:, :-1]
        grown[:, :-1] |= edge[:, 1:]
        edge = grown
    return edge


def salient(scene: Scene, numbers: npt.NDArray[np.int64]) -> list[int]:
    """The objects that stand out: large in the picture, or beside a large one.

    An object's weight is its visible area, more in the middle of the picture than at its
    rim (a factor of 1 to 1/2). It stands out if its weight is at least 30% of the heaviest
    one's, it covers 1% of the picture, and it is not more than 1.6 times as far away as
    the heaviest one. Where none covers 1%, nothing does. Decided on a view of fixed size.
    """
    height, width = _VIEW
    hits = trace(scene, height, width)
    found = numbers[hits.piece]
    v, u = np.mgrid[0:height, 0:width]
    radius = np.hypot((u + 0.5) / width - 0.5, (v + 0.5) / height - 0.5).ravel() / np.hypot(0.5, 0.5)
    size = len(numbers) + 1
    area = np.bincount(found, minlength=size) / found.size
    weight = np.bincount(found, weights=1.0 - 0.5 * radius, minlength=size)
    weight[0] = 0.0
    weight[area < _LEAST_AREA] = 0.0
    if weight.max() == 0.0:
        return []
    away = {int(k): float(np.median(hits.depth[found == k])) for k in np.flatnonzero(weight)}
    first = int(weight.argmax())
    return [k for k in away if weight[k] >= _SHARE * weight[first] and away[k] <= _FURTHER * away[first]]


def _objects(
    scene: Scene, numbers: npt.NDArray[np.int64], kinds: Bytes, piece: npt.NDArray[np.int64]
) -> tuple[FigureObject, ...]:
    seen = np.unique(piece)
    found = []
    for number in np.unique(numbers[seen]):
        if number == 0:
            continue
        members = seen[numbers[seen] == number]
        kind = int(kinds[members[0]])
        parts: dict[str, Mask] = {}
        if kind == PERSON:
            for name in sorted({part_name(scene.pieces[k].label) for k in members}):
                own = [k for k in members if part_name(scene.pieces[k].label) == name]
                parts[name] = np.isin(piece, own)
        found.append(FigureObject(kind, np.isin(piece, members), parts))
    return tuple(found)
