"""NYUv2 from nyu_depth_v2_labeled.mat, in the layout that `tabench.data.nyuv2` reads."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tabench.data.array_folders import planes
from tabench.data.checks import refuse_impossible
from tabench.data.listing import is_file, is_folder
from tabench.data.nyuv2 import NYUV2
from tabench.data.prepare import Outcome, Request
from tabench.data.prepare.guide import NYU_FILE, NYU_SPLIT
from tabench.data.prepare.normals import NYU_CAMERA, method, normals_from_depth
from tabench.data.prepare.nyu_file import NAME, NyuFile
from tabench.data.prepare.nyu_labels import (
    CLASS_MAP,
    IMAGES,
    map_labels,
    public_split,
    read_class_map,
    read_split,
)
from tabench.data.prepare.outputs import write_images
from tabench.data.resampling import nearest_pixels, shrink
from tabench.errors import DataError, SpecError

DATASET = NYUV2
RECIPE = 1
SIZE = NYUV2.size
CHANNELS = {"image": 3, "label": 1, "depth": 1, "normal": 3}


def prepare(request: Request) -> Outcome:
    """Write {train,val}/{image,label,depth,normal}/{i}.npy; see `tabench.data.prepare.prepare`."""
    path = _labelled_set(request)
    class_map = request.class_map or path.with_name(CLASS_MAP)
    splits = [request.splits] if request.splits else []
    with NyuFile(path) as file:
        classes = read_class_map(class_map, file.names)
        return write_images(
            request,
            DATASET,
            [
                (folder, f"{folder} {index + 1}", int(index))
                for folder, indices in _split(request, file).items()
                for index in indices
            ],
            partial(arrays, file, classes),
            recipe=RECIPE,
            parameters=_parameters(custom_split=bool(splits)),
            sources=[(source, ()) for source in (path, class_map, *splits)],
            channels=CHANNELS,
        )


def arrays(file: NyuFile, classes: npt.NDArray[np.int64], index: int) -> dict[str, npt.NDArray[np.float32]]:
    """The four arrays of one image at 288x384: label, depth and normal of the same pixels of the original.

    Raises DataError for one that cannot be read, with a label outside the class map, or impossible values.
    """
    frame = file.read(index)
    rows, cols = (nearest_pixels(length, SIZE[axis]) for axis, length in enumerate(frame.depth.shape))
    found = {
        "image": shrink(frame.image, SIZE),
        "label": map_labels(frame.label[np.ix_(rows, cols)], classes, file.where(index)),
        "depth": frame.depth[np.ix_(rows, cols)][..., None].astype(np.float32),
        "normal": normals_from_depth(frame.depth, NYU_CAMERA, rows, cols),
    }
    sample = {kind: planes(array) for kind, array in found.items()}
    refuse_impossible(sample, NYUV2.class_names, NYUV2.largest, file.where(index))
    return found


def _labelled_set(request: Request) -> Path:
    if len(request.sources) != 1:
        raise SpecError("nyuv2 has one source", hint=f"give --from once: {NAME} or its folder")
    (source,) = request.sources
    path = source / NAME if is_folder(source) else source
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
