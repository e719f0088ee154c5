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
from tabench.data.pascal import files, matlab, reading
from tabench.data.pascal.classes import PARTS_7, PERSON
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

    Returns:
        The findings without a fingerprint. Content never makes this raise.
    """
    report = VerifyReport(root)
    lists, images = dict[str, list[str]](), dict[str, list[str]]()
    indices: dict[str, dict[str, list[int]]] = {}
    for folder in files.FOLDERS:
        try:
            names = files.read_list(root, folder, hint=hint)
            indices[folder] = files.read_index(root, folder)
            lacking = files.missing(names, files.held_files(root))
        except DataError as error:
            report.problems.append(f"{error.where}: {error.message}")
            continue
        report.problems += [f"{root}: {folder}/{name} lacks {', '.join(k)}" for name, k in lacking.items()]
        lists[folder], images[folder] = names, [name for name in names if name not in lacking]
    report.counts = {folder: len(names) for folder, names in lists.items()}
    if len(lists) == len(files.FOLDERS):
        report.warnings += files.list_notes(root, lists, published_counts)
    report.warnings += leftovers_note(
        leftovers_in([root, *(root / place for place, _ in files.PLACES.values())])
    )
    shared = files.in_both(images.values())
    report.problems += [f"{root}: {shared}"] if shared else []
    sides: set[int] = set()
    counts: Counter[str] = Counter()

    def read(folder: str, name: str, sound: Sound[Any]) -> Arrays:
        paths = files.files_of(root, name)
        photo = sound(partial(read_rgb, paths["image"]))
        found = {
            "label": sound(partial(reading.read_label, paths["label"], len(class_names))),
            "context": sound(partial(matlab.read_label_map, paths["context"])),
            "saliency": sound(partial(reading.read_saliency, paths["saliency"])),
            "normal": sound(partial(reading.read_normals, paths["normal"])),
        }
        if photo is None:
            return
        yield "image", paths["image"], np.moveaxis(photo, 2, 0) / np.float32(255)
        context = found.pop("context")
        for kind, array in found.items():
            if array is not None:
                yield kind, paths[kind], array
        size = (photo.shape[0], photo.shape[1])
        sides.update(size)
        for kind, array in (("label", found["label"]), ("context", context)):
            alike = partial(reading.check_same_shape, paths[kind])
            if array is not None and not sound(partial(alike, array.shape, size)):
                return
        if context is not None:
            yield "edge", paths["context"], reading.boundaries(context)
            if (normal := found["normal"]) is not None and normal.shape[1:] == size:
                kept = np.any(normal != 0, axis=0)
                kept &= normal_classes is None or np.isin(context, list(normal_classes or ()))
                counts.update(kept=int(kept.sum()), without=not kept.any())
        annotation = sound(partial(matlab.read_people, paths["parts"], size))
        if annotation is None:
            return
        parts, people = annotation
        counts["people"] += people
        if parts is not None and PERSON not in indices[folder].get(name, [PERSON]):
            report.warnings.append(
                f"{files.index_file(root, folder)}: says that {name} shows no person, its annotation has a "
                "person's parts (the index is followed, as in the field's loaders)"
            )
        yield "parts", paths["parts"], np.full(size, reading.IGNORE) if parts is None else parts

    checks = verify_images(
        report,
        images,
        read,
        classes={"label": class_names, "parts": PARTS_7, "edge": CLASSES_OF["edges"]},
        largest={},
        lists={folder: files.list_file(root, folder) for folder in files.FOLDERS},
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
