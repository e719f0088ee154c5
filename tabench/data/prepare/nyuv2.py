"""NYUv2 from nyu_depth_v2_labeled.mat, in the layout that `tabench.data.nyuv2` reads."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tabench.data.array_folders import file_of, planes
from tabench.data.checks import refuse_impossible
from tabench.data.listing import is_file, is_folder
from tabench.data.nyuv2 import CLASSES_13, NYUV2
from tabench.data.prepare import nyu_classes, nyu_file
from tabench.data.prepare.disk import require_space
from tabench.data.prepare.guide import NYU_FILE, NYU_SPLIT
from tabench.data.prepare.manifest import Manifest, claim, finish, notes
from tabench.data.prepare.normals import NYU_CAMERA, method, normals_from_depth
from tabench.data.prepare.nyu_file import NyuFile
from tabench.data.prepare.nyu_split import IMAGES, public_split, read_split
from tabench.data.prepare.outputs import Output, bytes_missing, write_arrays
from tabench.data.prepare.pool import run_all
from tabench.data.prepare.request import Outcome, Request, count_notes, outcome_of
from tabench.data.prepare.resize import nearest_pixels, resize_image, resize_nearest
from tabench.data.prepare.sources import describe
from tabench.errors import DataError, SpecError

RECIPE = 1
SIZE = (288, 384)
CHANNELS = {"image": 3, "label": 1, "depth": 1, "normal": 3}
PUBLISHED = {"train": 795, "val": 654}


@dataclass(frozen=True)
class Image:
    """One image to write: number `number` of `folder`, from position `index` of the file."""

    folder: str
    number: int
    index: int


def prepare(request: Request) -> Outcome:
    """Write {train,val}/{image,label,depth,normal}/{i}.npy; see docs/data.md.

    Raises:
        DataError: A source is missing, damaged or not what it should be.
        SpecError: More or less than one source.
        StoreError: The folder cannot be written, or the disk is too small.
    """
    path = _labelled_set(request)
    class_map = request.class_map or path.with_name(nyu_classes.NAME)
    splits = [request.splits] if request.splits else []
    with NyuFile(path) as file:
        classes = nyu_classes.read_class_map(class_map, file.names)
        split = _split(request, file)
        images = [
            Image(folder, number, int(index))
            for folder, indices in split.items()
            for number, index in enumerate(indices)
        ]
        paths = {image: _paths(request.root, image) for image in images}
        require_space(request.root, bytes_missing(paths.values(), SIZE[0] * SIZE[1], CHANNELS))
        manifest = Manifest(
            "nyuv2",
            RECIPE,
            _parameters(custom_split=bool(splits)),
            describe([(source, ()) for source in (path, class_map, *splits)], request.progress),
            [f"{image.folder} {image.index + 1}" for image in images],
        )
        manifest = claim(request.root, manifest)

        def write(image: Image) -> list[Output]:
            return write_arrays(request.root, paths[image], lambda: arrays(file, image.index, classes))

        written = run_all(
            write,
            images,
            workers=request.workers,
            name=lambda image: f"{image.folder}/{image.number}",
            progress=request.progress,
        )
    counts = {folder: len(indices) for folder, indices in split.items()}
    outputs = [output for files in written for output in files]
    finish(request.root, manifest, counts, outputs)
    return outcome_of(counts, outputs, [*notes(manifest), *count_notes(counts, PUBLISHED)])


def arrays(file: NyuFile, index: int, classes: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[np.float32]]:
    """The four arrays of one image at 288x384.

    Label, depth and normal are those of the same pixels of the original.

    Raises:
        DataError: The image cannot be read, has a label outside the class map, or impossible values.
    """
    frame = file.read(index)
    rows, cols = (nearest_pixels(length, SIZE[axis]) for axis, length in enumerate(frame.depth.shape))
    label = resize_nearest(frame.label, SIZE)
    depth = resize_nearest(frame.depth, SIZE)
    found = {
        "image": resize_image(frame.image, SIZE),
        "label": nyu_classes.map_labels(label.astype(np.int64), classes, file.where(index)),
        "depth": depth[..., None].astype(np.float32),
        "normal": normals_from_depth(frame.depth, NYU_CAMERA, rows, cols),
    }
    sample = {kind: planes(array) for kind, array in found.items()}
    refuse_impossible(sample, CLASSES_13, NYUV2.largest, file.where(index))
    return found


def _paths(root: Path, image: Image) -> dict[str, Path]:
    return {kind: file_of(root, image.folder, kind, image.number) for kind in CHANNELS}


def _labelled_set(request: Request) -> Path:
    if len(request.sources) != 1:
        raise SpecError("nyuv2 has one source", hint=f"give --from once: {nyu_file.NAME} or its folder")
    (source,) = request.sources
    path = source / nyu_file.NAME if is_folder(source) else source
    if not is_file(path):
        raise DataError("no such file", where=str(path), hint=NYU_FILE)
    return path


def _split(request: Request, file: NyuFile) -> dict[str, npt.NDArray[np.int64]]:
    if request.splits is not None:
        return read_split(request.splits, len(file))
    if len(file) != IMAGES:
        raise DataError(
            f"{len(file)} images; the public split is of {IMAGES}",
            where=str(file.path),
            hint=f"give the labelled set as it was downloaded, or a split of this file: {NYU_SPLIT}",
        )
    return public_split()


def _parameters(*, custom_split: bool) -> dict[str, object]:
    return {
        "size": list(SIZE),
        "image": "Pillow bilinear over the covered area, 8 bit, divided by 255",
        "label, depth, normal": "nearest pixel",
        "label": "894 -> 40 by the class map, 40 -> 13 built in, minus 1; unlabelled = -1",
        "depth": "variable depths: metres, holes filled by the dataset's authors",
        "normal": method(NYU_CAMERA),
        "split": "from splits.mat" if custom_split else "the public 795 / 654, built in",
        "order": "image number, ascending",
    }
