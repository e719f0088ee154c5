"""Reads every file of a folder in the NYUv2 layout and says what is wrong with which."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from tabench.data.base import Progress, VerifyReport
from tabench.data.layout import FOLDERS, KINDS, fault, file_of, list_images, open_array, size_fault
from tabench.errors import DataError

UNIT_TOLERANCE = 0.05  # resampled normals are a little shorter than 1
UNIT_SHARE = 0.99  # below this share of unit normals the report warns
LONGEST_NORMAL = 1.5


@dataclass
class _Facts:
    pixels: int = 0
    labels: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    ignored: int = 0
    depth_valid: int = 0
    depth_range: tuple[float, float] = (np.inf, -np.inf)
    normal_valid: int = 0
    normal_unit: int = 0
    normal_zero_sum: int = 0
    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    dtypes: dict[str, set[str]] = field(default_factory=lambda: {kind: set() for kind in KINDS})
    without: Counter[str] = field(default_factory=Counter)


def verify_layout(
    root: Path,
    *,
    class_names: Sequence[str],
    published_counts: Mapping[str, int],
    published_size: tuple[int, int],
    hint: str,
    progress: Progress | None = None,
) -> VerifyReport:
    """Check every file: readable, shapes, dtypes, ranges, equal sizes inside an image.

    Args:
        root: Folder with train/ and val/.
        class_names: Labels must be -1 (ignore) or an index of these.
        published_counts: Images per folder expected; another number is a warning.
        published_size: (H, W) expected; another size is a warning.
        hint: Where the data comes from, for messages.
        progress: Called with (images done, images in all, image).

    Returns:
        The findings without a fingerprint. Content never makes this raise.
    """
    report = VerifyReport(root)
    numbers: dict[str, list[int]] = {}
    for folder in FOLDERS:
        try:
            numbers[folder] = list_images(root, folder, hint=hint)
        except DataError as error:
            report.problems.append(f"{error.where}: {error.message}")
    report.counts = {folder: len(found) for folder, found in numbers.items()}
    facts = _Facts(labels=np.zeros(len(class_names), np.int64))
    images = [(folder, number) for folder, found in numbers.items() for number in found]
    for done, (folder, number) in enumerate(images, start=1):
        _check_image(root, folder, number, len(class_names), report, facts)
        if progress is not None:
            progress(done, len(images), f"read {folder}/{number}")
    _warn(report, numbers, facts, published_counts, published_size)
    report.facts = _as_facts(facts, class_names)
    return report


def _check_image(
    root: Path, folder: str, number: int, classes: int, report: VerifyReport, facts: _Facts
) -> None:
    sizes: dict[str, tuple[int, ...]] = {}
    for kind in KINDS:
        path = file_of(root, folder, kind, number)
        try:
            array = open_array(path)
        except DataError as error:
            report.problems.append(f"{path}: {error.message}")
            continue
        facts.dtypes[kind].add(str(array.dtype))
        problem = fault(kind, array, classes)
        if problem is None:
            sizes[kind] = array.shape[:2]
            problem = _collect(kind, np.asarray(array), facts)
        if problem is not None:
            report.problems.append(f"{path}: {problem}")
    if len(set(sizes.values())) > 1:
        report.problems.append(f"{root / folder}, image {number}: {size_fault(sizes)}")
    if "image" in sizes:
        facts.sizes[(sizes["image"][0], sizes["image"][1])] += 1


def _collect(kind: str, array: npt.NDArray[np.generic], facts: _Facts) -> str | None:
    """Add an array to the facts; return a finding that needs the values."""
    if kind == "label":
        labels = array.astype(np.int64)
        valid = labels[labels >= 0]
        facts.labels += np.bincount(valid, minlength=facts.labels.size)
        facts.ignored += labels.size - valid.size
        facts.pixels += labels.size
        facts.without[kind] += int(valid.size == 0)
    elif kind == "depth":
        metres = array.astype(np.float64)
        metres = metres[metres > 0]
        facts.depth_valid += metres.size
        facts.without[kind] += int(metres.size == 0)
        if metres.size:
            low, high = facts.depth_range
            facts.depth_range = (min(low, float(metres.min())), max(high, float(metres.max())))
    elif kind == "normal":
        return _collect_normals(array.astype(np.float32), facts)
    return None


def _collect_normals(normals: npt.NDArray[np.float32], facts: _Facts) -> str | None:
    vectors = normals[np.any(normals != 0, axis=2)]
    facts.without["normal"] += int(vectors.size == 0)
    if not vectors.size:
        return None
    length = np.linalg.norm(vectors.astype(np.float64), axis=1)
    unit = int(np.count_nonzero(np.abs(length - 1) <= UNIT_TOLERANCE))
    facts.normal_valid += len(length)
    facts.normal_unit += unit
    facts.normal_zero_sum += int(np.count_nonzero(vectors.sum(axis=1) == 0))
    if float(length.max()) > LONGEST_NORMAL or 2 * unit < len(length):
        return (
            f"normals of length {length.min():.3g}..{length.max():.3g}, {unit} of {len(length)} "
            f"within {UNIT_TOLERANCE} of 1; expected unit vectors in [-1, 1] or (0, 0, 0)"
        )
    return None


def _warn(
    report: VerifyReport,
    numbers: Mapping[str, list[int]],
    facts: _Facts,
    published_counts: Mapping[str, int],
    published_size: tuple[int, int],
) -> None:
    for folder, found in numbers.items():
        expected = published_counts.get(folder)
        if expected is not None and len(found) != expected:
            report.warnings.append(f"{folder}: {len(found)} images, published are {expected}")
        gaps = found[-1] + 1 - len(found)
        if gaps:
            report.warnings.append(f"{folder}: file numbers up to {found[-1]} with {gaps} left out")
    for size, count in sorted(facts.sizes.items()):
        if size != published_size:
            expected_size = "x".join(map(str, published_size))
            report.warnings.append(f"{count} images of {size[0]}x{size[1]}, expected is {expected_size}")
    if facts.normal_valid and facts.normal_unit < UNIT_SHARE * facts.normal_valid:
        share = 100 * facts.normal_unit / facts.normal_valid
        report.warnings.append(f"only {share:.2f}% of the normals are within {UNIT_TOLERANCE} of length 1")


def _as_facts(facts: _Facts, class_names: Sequence[str]) -> dict[str, object]:
    labelled = int(facts.labels.sum())
    return {
        "sizes": {f"{h}x{w}": count for (h, w), count in sorted(facts.sizes.items())},
        "dtypes": {kind: sorted(names) for kind, names in facts.dtypes.items()},
        "class pixels": dict(zip(class_names, facts.labels.tolist(), strict=True)),
        "class share": {
            name: count / max(labelled, 1)
            for name, count in zip(class_names, facts.labels.tolist(), strict=True)
        },
        "ignored label pixels": facts.ignored,
        "depth range (m)": list(facts.depth_range) if facts.depth_valid else None,
        "valid depth pixels": facts.depth_valid,
        "valid normal pixels": facts.normal_valid,
        "unit normal pixels": facts.normal_unit,
        "normals whose channels sum to 0 (counted invalid)": facts.normal_zero_sum,
        "images without a valid pixel": {kind: facts.without[kind] for kind in KINDS[1:]},
    }
