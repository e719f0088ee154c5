"""Reads every file of a folder of arrays and says what is wrong with which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tabench.data.base import Progress, VerifyReport
from tabench.data.checks import Checks, twins
from tabench.data.facts import Facts, facts_of
from tabench.data.layout import (
    FOLDERS,
    count_notes,
    fault,
    file_of,
    list_images,
    open_array,
    planes,
    size_fault,
)
from tabench.errors import DataError

Sizes = Counter[tuple[int, int]]


def verify_layout(
    root: Path,
    *,
    folders: Mapping[str, str],
    class_names: Sequence[str],
    published_counts: Mapping[str, int],
    published_size: tuple[int, int],
    largest: Mapping[str, float],
    hint: str,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check every file: readable, shapes, dtypes, ranges, equal sizes inside an image, and `Checks`.

    Args:
        root: Folder with train/ and val/.
        folders: Folder name of each kind of array.
        class_names: Labels must be -1 (ignore) or an index of these.
        published_counts: Images per folder expected; another number is a warning.
        published_size: (H, W) expected; another size is a warning.
        largest: The largest published depth or disparity.
        hint: Where the data comes from, for messages.
        progress: Called with (images done, images in all, image).

    Returns:
        The findings without a fingerprint. Content never makes this raise.
    """
    report = VerifyReport(root)
    numbers: dict[str, list[int]] = {}
    for folder in FOLDERS:
        try:
            numbers[folder] = list_images(root, folder, hint=hint, folders=folders)
        except DataError as error:
            report.problems.append(f"{error.where}: {error.message}")
    report.counts = {folder: len(found) for folder, found in numbers.items()}
    sizes: Sizes = Counter()
    facts = {kind: facts_of(kind, class_names) for kind in folders}
    checks = {folder: Checks(class_names, largest) for folder in FOLDERS}
    images = [(folder, number) for folder, found in numbers.items() for number in found]
    for done, (folder, number) in enumerate(images, start=1):
        paths = {kind: file_of(root, folder, name, number) for kind, name in folders.items()}
        found_sizes = _check_image(f"{folder}/{number}", paths, report, facts, checks[folder])
        if len(set(found_sizes.values())) > 1:
            report.problems.append(f"{root / folder}, image {number}: {size_fault(found_sizes)}")
        if "image" in found_sizes:
            sizes[found_sizes["image"]] += 1
        if progress is not None:
            progress(done, len(images), f"read {folder}/{number}")
    _warn(report, numbers, sizes, published_counts, published_size)
    report.facts = {
        "sizes": {f"{h}x{w}": count for (h, w), count in sorted(sizes.items())},
        "dtypes": {kind: sorted(found.dtypes) for kind, found in facts.items()},
    }
    for found in facts.values():
        report.facts |= found.facts()
    report.problems += [
        f"{root / folder}: {line}" for folder in FOLDERS for line in checks[folder].problems()
    ]
    report.warnings += [f"{folder}: {line}" for folder in FOLDERS for line in checks[folder].warnings()]
    report.warnings += twins(*checks.values())
    report.facts["images without a valid pixel"] = {
        kind: found.without for kind, found in facts.items() if kind != "image"
    }
    return report


def _check_image(
    name: str, paths: Mapping[str, Path], report: VerifyReport, facts: Mapping[str, Facts], checks: Checks
) -> dict[str, tuple[int, int]]:
    """Add one image's faults to the report and its sound arrays to the facts; returns their (H, W)."""
    sizes: dict[str, tuple[int, int]] = {}
    for kind, path in paths.items():
        try:
            array = open_array(path)
        except DataError as error:
            report.problems.append(f"{path}: {error.message}")
            continue
        facts[kind].dtypes.add(str(array.dtype))
        problem = fault(kind, array, checks.classes)
        if problem is None:
            sizes[kind] = (array.shape[0], array.shape[1])
            facts[kind].collect(np.asarray(array))
            problem = checks.look(name, kind, planes(np.asarray(array)))
        if problem is not None:
            report.problems.append(f"{path}: {problem}")
    return sizes


def _warn(
    report: VerifyReport,
    numbers: Mapping[str, list[int]],
    sizes: Sizes,
    published_counts: Mapping[str, int],
    published_size: tuple[int, int],
) -> None:
    report.warnings += count_notes(numbers, published_counts)
    for size, count in sorted(sizes.items()):
        if size != published_size:
            expected_size = "x".join(map(str, published_size))
            report.warnings.append(f"{count} images of {size[0]}x{size[1]}, expected is {expected_size}")
