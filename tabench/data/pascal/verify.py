"""Reads every file of a folder in the layout of PASCAL_MT and says what is wrong with which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tabench.data.base import Progress, VerifyReport
from tabench.data.checks import Checks, LabelCheck
from tabench.data.images import read_rgb
from tabench.data.listing import leftovers_in, leftovers_note
from tabench.data.pascal.annotations import read_categories, read_label_map, read_parts
from tabench.data.pascal.classes import PARTS_7, PERSON
from tabench.data.pascal.files import (
    FOLDERS,
    PLACES,
    files_of,
    held_files,
    in_both,
    index_file,
    list_file,
    list_notes,
    missing,
    read_index,
    read_list,
)
from tabench.data.pascal.reading import (
    IGNORE,
    boundaries,
    check_same_shape,
    read_label,
    read_normals,
    read_saliency,
)
from tabench.data.verify import Arrays, Sound, verify_images
from tabench.errors import DataError

CLASSES_OF = {
    "human_parts": PARTS_7,
    "saliency": ("not salient", "salient"),
    "edges": ("no boundary", "boundary"),
}


def verify_pascal(
    root: Path,
    *,
    class_names: Sequence[str],
    published_counts: Mapping[str, int],
    normal_classes: Collection[int] | None,
    hint: str,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check every file: readable, of one size inside an image, known labels, known parts, and `Checks`.

    Args:
        root: Folder of the dataset.
        class_names: Segmentation labels must be indices of these, or 255.
        published_counts: Images per list expected; another number is a warning.
        normal_classes: LabelMap classes that normals are kept on, for the count of kept ones; None is all.
        hint: Where the data comes from, for messages.
        progress: Called with (images done, images in all, image).

    Returns:
        The findings without a fingerprint. Content never makes this raise.
    """
    report = VerifyReport(root)
    lists, images = dict[str, list[str]](), dict[str, list[str]]()
    indices: dict[str, dict[str, list[int]]] = {}
    for folder in FOLDERS:
        try:
            names = read_list(root, folder, hint=hint)
            indices[folder] = read_index(root, folder)
            lacking = missing(names, held_files(root))
        except DataError as error:
            report.problems.append(f"{error.where}: {error.message}")
            continue
        report.problems += [f"{root}: {folder}/{name} lacks {', '.join(k)}" for name, k in lacking.items()]
        lists[folder], images[folder] = names, [name for name in names if name not in lacking]
    report.counts = {folder: len(names) for folder, names in lists.items()}
    if len(lists) == len(FOLDERS):
        report.warnings += list_notes(root, lists, published_counts)
    report.warnings += leftovers_note(leftovers_in([root, *(root / place for place, _ in PLACES.values())]))
    shared = in_both(images.values())
    report.problems += [f"{root}: {shared}"] if shared else []
    sides: set[int] = set()
    counts: Counter[str] = Counter()

    def read(folder: str, name: str, sound: Sound[Any]) -> Arrays:
        files = files_of(root, name)
        photo = sound(partial(read_rgb, files["image"]))
        found = {
            "label": sound(partial(read_label, files["label"], len(class_names))),
            "context": sound(partial(read_label_map, files["context"])),
            "saliency": sound(partial(read_saliency, files["saliency"])),
            "normal": sound(partial(read_normals, files["normal"])),
        }
        if photo is None:
            return
        yield "image", files["image"], np.moveaxis(photo, 2, 0) / np.float32(255)
        context = found.pop("context")
        for kind, array in found.items():
            if array is not None:
                yield kind, files[kind], array
        size = (photo.shape[0], photo.shape[1])
        sides.update(size)
        for kind, array in (("label", found["label"]), ("context", context)):
            if array is not None and not sound(partial(check_same_shape, files[kind], array.shape, size)):
                return
        if context is not None:
            yield "edge", files["context"], boundaries(context)
            if (normal := found["normal"]) is not None and normal.shape[1:] == size:
                kept = np.any(normal != 0, axis=0)
                kept &= normal_classes is None or np.isin(context, list(normal_classes or ()))
                counts.update(kept=int(kept.sum()), without=not kept.any())
        annotation = sound(lambda: (read_parts(files["parts"], size), read_categories(files["parts"])))
        if annotation is None:
            return
        parts, categories = annotation
        counts["people"] += PERSON in categories
        if parts is not None and PERSON not in indices[folder].get(name, [PERSON]):
            report.warnings.append(
                f"{index_file(root, folder)}: says that {name} shows no person, its annotation has a "
                "person's parts (the index is followed, as in the field's loaders)"
            )
        yield "parts", files["parts"], np.full(size, IGNORE) if parts is None else parts

    checks = verify_images(
        report,
        images,
        read,
        classes={"label": class_names, "parts": PARTS_7, "edge": CLASSES_OF["edges"]},
        largest={},
        lists={folder: list_file(root, folder) for folder in FOLDERS},
        progress=progress,
    )
    report.facts = {"image sides": [min(sides), max(sides)] if sides else None, **_facts(checks, counts)}
    return report


def _facts(checks: Checks, counts: Mapping[str, int]) -> dict[str, object]:
    parts, edge = (checks.of(kind) for kind in ("parts", "edge"))
    assert isinstance(parts, LabelCheck)
    return {
        **checks.of("label").facts(),
        "part pixels": parts.pixels(),
        "images with people": counts["people"],
        "edge share": edge.counts[1] / max(edge.counts["valid"], 1),
        "valid normal pixels": checks.of("normal").counts["valid"],
        "normal pixels on classes shared with NYUv2": counts["kept"],
        "images without a valid pixel": {
            "label": checks.of("label").counts["without"],
            "parts": parts.counts["without"],
            "normal": counts["without"],
        },
        **checks.of("saliency").facts(),
    }
