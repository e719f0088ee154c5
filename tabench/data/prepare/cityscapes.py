"""CityScapes from its own archives or folders, in the layout that `tabench.data.cityscapes` reads."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tabench.data.array_folders import file_of
from tabench.data.checks import refuse_impossible
from tabench.data.cityscapes import Cityscapes
from tabench.data.images import Png, open_png
from tabench.data.listing import leftovers_note
from tabench.data.prepare.cityscapes_files import Place, Shot, find_shots, open_trees
from tabench.data.prepare.cityscapes_labels import CATEGORIES, map_labels
from tabench.data.prepare.disk import require_space
from tabench.data.prepare.guide import CITYSCAPES
from tabench.data.prepare.manifest import Manifest, claim, finish, notes
from tabench.data.prepare.outputs import Output, bytes_missing, write_arrays
from tabench.data.prepare.pool import run_all
from tabench.data.prepare.request import Outcome, Request, count_notes, outcome_of
from tabench.data.prepare.resize import resize_image, resize_nearest
from tabench.data.prepare.sources import describe
from tabench.data.prepare.tree import FileTree, FolderTree
from tabench.errors import DataError, SpecError

RECIPE = 1
SIZE = (128, 256)
CHANNELS = {"image": 3, "label": 1, "label_7": 1, "label_19": 1, "depth": 1}
PUBLISHED = {"train": 2975, "val": 500}
MOST_PIXELS = 64 << 20
AGAIN = "the file is damaged: take it from the archive again, or download the archive again"
FULL_SCALE = 65535  # 16 bit; the largest published raw value, 32257, becomes 0.4922
READ: Mapping[str, Callable[[Png], npt.NDArray[np.generic]]] = {
    "image": Png.colours,
    "label": Png.labels,
    "depth": Png.sixteen_bits,
}


def prepare(request: Request) -> Outcome:
    """Write {train,val}/{image,label,label_7,label_19,depth}/{i}.npy; see docs/data.md.

    Raises:
        DataError: A source is missing, damaged or not what it should be.
        SpecError: No source.
        StoreError: The folder cannot be written, or the disk is too small.
    """
    if not request.sources:
        raise SpecError("cityscapes needs a source", hint=CITYSCAPES)
    trees = open_trees(request.sources)
    try:
        return _prepare(request, trees)
    finally:
        for tree in trees:
            tree.close()


def _prepare(request: Request, trees: list[FileTree]) -> Outcome:
    shots, left_out = find_shots(trees, allow_missing=request.allow_missing)
    numbers: dict[str, int] = {}
    jobs: list[tuple[Shot, dict[str, Path]]] = []
    for shot in shots:
        number = numbers.setdefault(shot.split, 0)
        jobs.append((shot, {kind: file_of(request.root, shot.split, kind, number) for kind in CHANNELS}))
        numbers[shot.split] += 1
    require_space(request.root, bytes_missing((paths for _, paths in jobs), SIZE[0] * SIZE[1], CHANNELS))
    manifest = Manifest(
        "cityscapes",
        RECIPE,
        _parameters(),
        describe(_used(trees, shots), request.progress),
        [f"{shot.split} {shot.stem}" for shot in shots],
        left_out,
    )
    manifest = claim(request.root, manifest)

    def write(job: tuple[Shot, dict[str, Path]]) -> list[Output]:
        return write_arrays(request.root, job[1], lambda: arrays(job[0]))

    written = run_all(
        write,
        jobs,
        workers=request.workers,
        name=lambda job: f"{job[0].split}/{job[0].stem}",
        progress=request.progress,
    )
    outputs = [output for files in written for output in files]
    finish(request.root, manifest, numbers, outputs)
    leftovers = [name for tree in trees for name in tree.leftovers]
    found = [*notes(manifest), *leftovers_note(leftovers), *count_notes(numbers, PUBLISHED)]
    return outcome_of(numbers, outputs, found)


def arrays(shot: Shot) -> dict[str, npt.NDArray[np.float32]]:
    """The five arrays of one image at 128x256.

    Raises:
        DataError: A file cannot be read, is of another kind or size, or holds an unknown label id.
    """
    image = _decode(shot.places["image"], "image")
    height, width = image.shape[:2]
    targets = {}
    for kind in ("label", "depth"):
        array = _decode(shot.places[kind], kind)
        if array.shape != (height, width):
            raise DataError(
                f"{array.shape[0]}x{array.shape[1]} pixels, its image has {height}x{width}",
                where=str(shot.places[kind]),
                hint=CITYSCAPES,
            )
        targets[kind] = resize_nearest(array, SIZE)
    label_7, label_19 = map_labels(targets["label"], str(shot.places["label"]))
    disparity = targets["depth"].astype(np.float32) / np.float32(FULL_SCALE)
    refuse_impossible({"disparity": disparity[None]}, (), Cityscapes.largest, str(shot.places["depth"]))
    return {
        "image": resize_image(image.astype(np.uint8), SIZE),
        "label": label_7,
        "label_7": label_7,
        "label_19": label_19,
        "depth": disparity[..., None],
    }


def _decode(place: Place, kind: str) -> npt.NDArray[np.generic]:
    return READ[kind](open_png(io.BytesIO(place.read()), str(place), most=MOST_PIXELS, again=AGAIN))


def _used(trees: list[FileTree], shots: list[Shot]) -> list[tuple[Path, list[Path]]]:
    """Each source with the files that are read from it; an archive counts as a whole."""
    places = [place for shot in shots for place in shot.places.values()]
    used: list[tuple[Path, list[Path]]] = []
    for tree in trees:
        names = sorted(place.name for place in places if place.tree is tree)
        if names:
            used.append((tree.path, [tree.path / n for n in names] if isinstance(tree, FolderTree) else []))
    return used


def _parameters() -> dict[str, object]:
    return {
        "size": list(SIZE),
        "image": "Pillow bilinear over the covered area, 8 bit, divided by 255",
        "label, label_7, label_19, depth": "nearest pixel",
        "label": "label_7",
        "label_7": f"categories {', '.join(CATEGORIES)} of the scored label ids; -1 = ignore",
        "label_19": "training ids of cityscapesScripts; -1 = ignore",
        "depth": f"disparity: the png's 16-bit value / {FULL_SCALE}; 0 = invalid",
        "order": "file name, ascending",
    }
