"""Reads every file of a folder in the layout of PASCAL_MT and says what is wrong with which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from tabench.data.base import Progress, VerifyReport
from tabench.data.checks import Checks, twins
from tabench.data.listing import leftovers_in, leftovers_note
from tabench.data.pascal.classes import PARTS_7, PERSON
from tabench.data.pascal.images import read_rgb
from tabench.data.pascal.layout import (
    FOLDERS,
    PLACES,
    files_of,
    in_both,
    index_file,
    list_file,
    list_notes,
    missing,
    read_index,
    read_list,
)
from tabench.data.pascal.matlab import read_categories, read_label_map, read_parts
from tabench.data.pascal.reading import boundaries, read_label, read_normals, read_saliency
from tabench.errors import DataError

Counts = npt.NDArray[np.int64]
T = TypeVar("T")


@dataclass
class _Facts:
    labels: Counts
    ignored: int = 0
    parts: Counts = field(default_factory=lambda: np.zeros(len(PARTS_7), np.int64))
    with_people: int = 0
    salient: int = 0
    edge: int = 0
    pixels: int = 0
    normals: int = 0
    normals_kept: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    without: Counter[str] = field(default_factory=Counter)


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
    facts = _Facts(np.zeros(len(class_names), np.int64))
    checks = {folder: Checks(class_names, {}) for folder in FOLDERS}
    jobs: list[tuple[str, str]] = []
    lists: dict[str, list[str]] = {}
    indices: dict[str, dict[str, list[int]]] = {}
    for folder in FOLDERS:
        try:
            names = read_list(root, folder, hint=hint)
            indices[folder] = read_index(root, folder)
            lacking = missing(root, names)
        except DataError as error:
            report.problems.append(f"{error.where}: {error.message}")
            continue
        report.counts[folder] = len(names)
        report.problems += [f"{root}: {folder}/{name} lacks {', '.join(k)}" for name, k in lacking.items()]
        jobs += [(folder, name) for name in names if name not in lacking]
        lists[folder] = names
    if len(lists) == len(FOLDERS):
        report.warnings += list_notes(root, lists, published_counts)
    report.warnings += leftovers_note(leftovers_in([root, *(root / place for place, _ in PLACES.values())]))
    shared = in_both([name for place, name in jobs if place == folder] for folder in FOLDERS)
    report.problems += [f"{root}: {shared}"] if shared else []
    for done, (folder, name) in enumerate(jobs, start=1):
        _check_image(root, folder, name, indices[folder], normal_classes, report, facts, checks[folder])
        if progress is not None:
            progress(done, len(jobs), f"read {folder}/{name}")
    report.problems += [f"{list_file(root, f)}: {line}" for f in FOLDERS for line in checks[f].problems()]
    report.warnings += [f"{folder}: {line}" for folder in FOLDERS for line in checks[folder].warnings()]
    report.warnings += twins(*checks.values())
    report.facts = _as_facts(facts, class_names)
    return report


def _check_image(
    root: Path,
    folder: str,
    name: str,
    index: Mapping[str, Sequence[int]],
    normal_classes: Collection[int] | None,
    report: VerifyReport,
    facts: _Facts,
    checks: Checks,
) -> None:
    files = files_of(root, name)

    def checked(read: Callable[[], T]) -> T | None:
        try:
            return read()
        except DataError as error:
            report.problems.append(f"{error.where}: {error.message}")
            return None

    photo = checked(lambda: read_rgb(files["image"]))
    label = checked(lambda: read_label(files["label"], len(facts.labels)))
    context = checked(lambda: read_label_map(files["context"]))
    saliency = checked(lambda: read_saliency(files["saliency"]))
    normal = checked(lambda: read_normals(files["normal"]))
    if photo is None:
        return
    image = np.moveaxis(photo, 2, 0) / np.float32(255)
    for kind, found in (("image", image), ("label", label), ("saliency", saliency), ("normal", normal)):
        problem = checks.look(f"{folder}/{name}", kind, found) if found is not None else None
        if problem:
            report.problems.append(f"{files[kind]}: {problem}")
    size = (photo.shape[0], photo.shape[1])
    facts.sizes[size] += 1
    for kind, array in (("label", label), ("context", context)):
        if array is not None and array.shape != size:
            report.problems.append(
                f"{files[kind]}: {'x'.join(map(str, array.shape))}, its image is {size[0]}x{size[1]}"
            )
            return
    _check_parts(root, folder, name, files["parts"], size, index, report, facts)
    if label is not None:
        facts.labels += np.bincount(label[label >= 0], minlength=len(facts.labels))
        facts.ignored += int((label < 0).sum())
        facts.without["label"] += int((label < 0).all())
    if context is not None:
        facts.edge += int(boundaries(context).sum())
        facts.pixels += context.size
    if saliency is not None:
        facts.salient += int(saliency.sum())
        facts.without["salient"] += int(not saliency.any())
    if normal is not None and context is not None:
        valid = np.any(normal != 0, axis=0)
        facts.normals += int(valid.sum())
        if valid.shape == context.shape:
            kept = valid if normal_classes is None else valid & np.isin(context, list(normal_classes))
            facts.normals_kept += int(kept.sum())
            facts.without["normal"] += int(not kept.any())


def _check_parts(
    root: Path,
    folder: str,
    name: str,
    path: Path,
    size: tuple[int, int],
    index: Mapping[str, Sequence[int]],
    report: VerifyReport,
    facts: _Facts,
) -> None:
    try:
        parts = read_parts(path, size)
        people = PERSON in read_categories(path)
    except DataError as error:
        report.problems.append(f"{error.where}: {error.message}")
        return
    if name in index and parts is not None and PERSON not in index[name]:
        report.warnings.append(
            f"{index_file(root, folder)}: says that {name} shows no person, its annotation has a person's "
            "parts (the index is followed, as in the field's loaders)"
        )
    facts.with_people += int(people)
    facts.without["parts"] += int(parts is None)
    if parts is not None:
        facts.parts += np.bincount(parts.ravel(), minlength=len(PARTS_7))


def _as_facts(facts: _Facts, class_names: Sequence[str]) -> dict[str, object]:
    labelled, pixels = max(int(facts.labels.sum()), 1), max(facts.pixels, 1)
    sides = [side for size in facts.sizes for side in size]
    return {
        "image sides": [min(sides), max(sides)] if sides else None,
        "class pixels": dict(zip(class_names, facts.labels.tolist(), strict=True)),
        "class share": {
            name: count / labelled for name, count in zip(class_names, facts.labels.tolist(), strict=True)
        },
        "ignored label pixels": facts.ignored,
        "part pixels": dict(zip(PARTS_7, facts.parts.tolist(), strict=True)),
        "images with people": facts.with_people,
        "salient share": facts.salient / pixels,
        "edge share": facts.edge / pixels,
        "valid normal pixels": facts.normals,
        "normal pixels on classes shared with NYUv2": facts.normals_kept,
        "images without a valid pixel": {kind: facts.without[kind] for kind in ("label", "parts", "normal")},
        "images without a salient pixel": facts.without["salient"],
    }
