"""CityScapes from its own archives or folders, in the layout that `tabench.data.cityscapes` reads."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tabench.data.array_folders import IGNORE
from tabench.data.checks import refuse_impossible
from tabench.data.cityscapes import CITYSCAPES as DATASET
from tabench.data.cityscapes import CLASSES_7
from tabench.data.images import Png, open_png
from tabench.data.prepare import Outcome, Request
from tabench.data.prepare.archives import FileTree, FolderTree
from tabench.data.prepare.cityscapes_files import Shot, TreeFile, find_shots, open_trees
from tabench.data.prepare.guide import CITYSCAPES
from tabench.data.prepare.outputs import write_images
from tabench.data.resampling import nearest_pixels, shrink
from tabench.errors import DataError, SpecError

RECIPE = 1
SIZE = DATASET.size
CHANNELS = {"image": 3, "label": 1, "label_7": 1, "label_19": 1, "depth": 1}
MOST_PIXELS = 64 << 20
AGAIN = "the file is damaged: take it from the archive again, or download the archive again"
FULL_SCALE = 65535  # 16 bit; the largest published raw value, 32257, becomes 0.4922
READ: Mapping[str, Callable[[Png], npt.NDArray[np.generic]]] = {
    "image": Png.colours,
    "label": Png.labels,
    "depth": Png.sixteen_bits,
}
HIGHEST = 33
# Label ids of each category, in the order of the 19 training classes: the labels table of
# github.com/mcordts/cityscapesScripts. Labels that the official evaluation ignores (parking, rail track,
# guard rail, bridge, tunnel, pole group, caravan, trailer, and all of void) are ignored in both.
SCORED = {
    "flat": (7, 8),  # road sidewalk
    "construction": (11, 12, 13),  # building wall fence
    "object": (17, 19, 20),  # pole, traffic light, traffic sign
    "nature": (21, 22),  # vegetation terrain
    "sky": (23,),
    "human": (24, 25),  # person rider
    "vehicle": (26, 27, 28, 31, 32, 33),  # car truck bus train motorcycle bicycle
}
TO_7, TO_19 = (np.full(HIGHEST + 1, IGNORE, dtype=np.float32) for _ in range(2))
for _category, _ids in SCORED.items():
    TO_7[[*_ids]] = CLASSES_7.index(_category)
TO_19[[number for ids in SCORED.values() for number in ids]] = np.arange(19)
PARAMETERS = {
    "size": list(SIZE),
    "image": "Pillow bilinear over the covered area, 8 bit, divided by 255",
    "label, label_7, label_19, depth": "nearest pixel",
    "label": "label_7",
    "label_7": f"categories {', '.join(CLASSES_7)} of the scored label ids; -1 = ignore",
    "label_19": "training ids of cityscapesScripts; -1 = ignore",
    "depth": f"disparity: the png's 16-bit value / {FULL_SCALE}; 0 = invalid",
    "order": "file name, ascending",
}


def prepare(request: Request) -> Outcome:
    """Write {train,val}/{image,label,label_7,label_19,depth}/{i}.npy; see `tabench.data.prepare.prepare`."""
    if not request.sources:
        raise SpecError("cityscapes needs a source", hint=CITYSCAPES)
    trees = open_trees(request.sources)
    try:
        shots, left_out = find_shots(trees, allow_missing=request.allow_missing)
        return write_images(
            request,
            DATASET,
            [(shot.split, f"{shot.split} {shot.stem}", shot) for shot in shots],
            arrays,
            recipe=RECIPE,
            parameters=PARAMETERS,
            sources=_used(trees, shots),
            channels=CHANNELS,
            left_out=left_out,
        )
    finally:
        for tree in trees:
            tree.close()


def arrays(shot: Shot) -> dict[str, npt.NDArray[np.float32]]:
    """The five arrays of one image at 128x256; raises DataError for a file that is not what it should be."""
    image = _decode(shot.files["image"], "image")
    height, width = image.shape[:2]
    rows, cols = nearest_pixels(height, SIZE[0]), nearest_pixels(width, SIZE[1])
    targets = {}
    for kind in ("label", "depth"):
        array = _decode(shot.files[kind], kind)
        if array.shape != (height, width):
            raise DataError(
                f"{array.shape[0]}x{array.shape[1]} pixels, its image has {height}x{width}",
                where=str(shot.files[kind]),
                hint=CITYSCAPES,
            )
        targets[kind] = array[np.ix_(rows, cols)]
    label_7, label_19 = map_labels(targets["label"], str(shot.files["label"]))
    disparity = targets["depth"].astype(np.float32) / np.float32(FULL_SCALE)
    refuse_impossible({"disparity": disparity[None]}, (), DATASET.largest, str(shot.files["depth"]))
    return {
        "image": shrink(image.astype(np.uint8), SIZE),
        "label": label_7,
        "label_7": label_7,
        "label_19": label_19,
        "depth": disparity[..., None],
    }


def map_labels(
    ids: npt.NDArray[np.generic], where: str
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Label ids as (the 7 categories, the 19 training classes), -1 = ignore; DataError for an unknown id."""
    numbers = ids.astype(np.int64)
    if int(numbers.max()) > HIGHEST:
        raise DataError(
            f"label id {int(numbers.max())} is outside CityScapes' 0..{HIGHEST}",
            where=where,
            hint="take the *_gtFine_labelIds.png files of gtFine_trainvaltest.zip",
        )
    return TO_7[numbers], TO_19[numbers]


def _decode(file: TreeFile, kind: str) -> npt.NDArray[np.generic]:
    return READ[kind](open_png(io.BytesIO(file.read()), str(file), most=MOST_PIXELS, again=AGAIN))


def _used(trees: list[FileTree], shots: list[Shot]) -> list[tuple[Path, list[Path]]]:
    """Each source with the files that are read from it; an archive counts as a whole."""
    files = [file for shot in shots for file in shot.files.values()]
    used: list[tuple[Path, list[Path]]] = []
    for tree in trees:
        names = sorted(file.name for file in files if file.tree is tree)
        if names:
            used.append((tree.path, [tree.path / n for n in names] if isinstance(tree, FolderTree) else []))
    return used
