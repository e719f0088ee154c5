"""Published facts of NYU Depth v2: its split, 795 and 654 of 1449 images; its 894 -> 40 -> 13 classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tabench.data.array_folders import IGNORE
from tabench.data.matfile import read_mat_file
from tabench.data.prepare.guide import NYU_MAP, NYU_SPLIT
from tabench.errors import DataError

LARGEST = 1 << 20  # bytes; split and class map have some kilobytes, and are compressed
Indices = npt.NDArray[np.int64]
IMAGES = 1449
# Image numbers from 0, first-last. Source: testNdxs of splits.mat as two public programs list it,
# equal to the numbers in the file names of the 654 test images that depth estimators evaluate on.
TEST = """
0-1 8 13-17 20 27-42 45-46 55-56 58-62 75-78 83-90 116-118 124-128 130-133 136 152-154 166-168
170-175 179-201 206-211 219-221 249 263 270-272 278-284 295-301 309-311 314-316 324-334 350-351
354-363 383-389 394-396 410-413 429-434 440-447 461-465 468-476 507-512 514-525 530-532 536-538
548-550 554-570 578-582 590-593 602-606 611-612 616-620 632-637 643-644 649-650 655-657 662-663
667-672 675-680 685-689 692-693 696-698 705-712 716-717 723-727 730-733 742-743 758-786 799-803
809-813 820-822 832-845 849-851 856-861 868-870 905-907 916-918 925-927 931-934 944-946 958-961
964-966 969-976 990-994 1000-1003 1009-1011 1020-1022 1031-1033 1037-1038 1047-1048 1051-1052
1056-1057 1074-1083 1087-1095 1097-1103 1105-1108 1116-1118 1122-1130 1134-1135 1143-1157
1161-1166 1169-1170 1173-1175 1178-1183 1191-1195 1200-1211 1215-1219 1225-1229 1232-1234
1246-1249 1253-1264 1274-1279 1284-1294 1296-1298 1301-1307 1313-1314 1328-1331 1334-1339
1346-1348 1352-1355 1363-1364 1367-1368 1383-1390 1393-1400 1406-1413 1420-1423 1429-1432
1440-1448
"""
CLASS_MAP = "classMapping40.mat"
# Class 1..40 -> 1..13 (Couprie et al. 2013, in the order of data.nyuv2.CLASSES_13), as in
# class13Mapping.mat of github.com/ankurhanda/nyuv2-meta-data and five public programs.
FROM_40 = (
    *(12, 5, 6, 1, 4, 9, 10, 12, 13, 6),  # wall floor cabinet bed chair sofa table door window bookshelf
    *(8, 6, 13, 10, 6, 13, 6, 7, 7, 5),  # picture counter blinds desk shelves curtain dresser ... floor mat
    *(7, 3, 2, 6, 11, 7, 7, 7, 7, 7),  # clothes ceiling books refrigerator television paper ... whiteboard
    *(7, 6, 7, 7, 7, 7, 7, 7, 6, 7),  # person night stand toilet ... other structure, furniture, prop
)


def public_split() -> dict[str, Indices]:
    """The split that everybody reports on: "train" and "val", image numbers from 0, ascending."""
    ranges = [part.split("-") for part in TEST.split()]
    test = np.concatenate([np.arange(int(ends[0]), int(ends[-1]) + 1) for ends in ranges])
    return {"train": np.setdiff1d(np.arange(IMAGES), test), "val": test}


def read_split(path: Path, images: int) -> dict[str, Indices]:
    """The split of a splits.mat, whose trainNdxs and testNdxs count from 1; DataError for a wrong one."""
    held = read_mat_file(path, ("trainNdxs", "testNdxs"), NYU_SPLIT, LARGEST)
    split = {
        folder: np.sort(_numbers(held, name, images, path, NYU_SPLIT) - 1)
        for folder, name in (("train", "trainNdxs"), ("val", "testNdxs"))
    }
    both = np.concatenate(list(split.values()))
    if np.unique(both).size != both.size:
        raise DataError(
            "an image is in the split twice", where=str(path), hint="training and test images must differ"
        )
    return split


def read_class_map(path: Path, names: Sequence[str]) -> npt.NDArray[np.int64]:
    """The map from label numbers, those of `names` from 1, to the 13 classes, out of classMapping40.mat.

    (1 + number of names,) int64: entry 0 (unlabelled) is -1, the others are 0..12. Raises DataError for a
    map of other names than these.
    """
    held = read_mat_file(path, ("mapClass", "allClassName"), NYU_MAP, LARGEST)
    to_40 = _numbers(held, "mapClass", len(FROM_40), path, NYU_MAP)
    problem, hint = "", NYU_MAP
    if to_40.size != len(names):
        problem = f"'mapClass' maps {to_40.size} names, the labelled set has {len(names)}"
    mapped = [np.asarray(cell).ravel() for cell in held.get("allClassName", np.array(())).ravel()]
    for number, (text, name) in enumerate(zip(mapped, names, strict=False), start=1):
        one = str(text[0]) if text.size and text.dtype.kind == "U" else ""
        if one != name and not problem:
            problem = f"'allClassName' {number} is '{one}', the labelled set has '{name}' there"
            hint = f"the map is for another order of the names; {NYU_MAP}"
    if problem:
        raise DataError(problem, where=str(path), hint=hint)
    return np.concatenate([[IGNORE], np.asarray(FROM_40)[to_40 - 1] - 1])


def map_labels(
    labels: npt.NDArray[np.int64], classes: npt.NDArray[np.int64], where: str
) -> npt.NDArray[np.float32]:
    """Labels of the labelled set as classes 0..12, -1 = ignore; DataError for one that the map lacks."""
    highest = int(labels.max())
    if highest >= len(classes) or int(labels.min()) < 0:
        raise DataError(
            f"label {highest} is outside the map's 0..{len(classes) - 1}",
            where=where,
            hint=f"the class map is not that of this file; {NYU_MAP}",
        )
    return classes[labels].astype(np.float32)


def _numbers(
    held: Mapping[str, npt.NDArray[np.generic]], name: str, most: int, path: Path, hint: str
) -> Indices:
    """A variable as a flat list of whole numbers in 1..`most`; raises DataError where it is none."""
    array = held.get(name)
    if array is None:
        raise DataError(f"variable '{name}' is missing", where=str(path), hint=hint)
    if array.dtype.kind not in "uif" or not array.size:
        raise DataError(f"'{name}' holds {array.dtype}, expected numbers", where=str(path), hint=hint)
    values = array.astype(np.float64).ravel()
    if not (np.isfinite(values).all() and (values == np.rint(values)).all()):
        raise DataError(f"'{name}' holds values that are not whole numbers", where=str(path), hint=hint)
    outside = values[(values < 1) | (values > most)]
    if outside.size:
        raise DataError(f"'{name}' holds {outside[0]:g}, expected 1..{most}", where=str(path), hint=hint)
    return values.astype(np.int64)
