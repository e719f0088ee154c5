"""Looking at images for `Checks`: at every one (`tabench data verify`), or at a few before a run."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from tabench.data.base import DatasetDef, Progress, Split, VerifyReport
from tabench.data.checks import Checks, Values, twins
from tabench.errors import DataError

T = TypeVar("T")
LOOKS = 16  # images of a split
HINT = "`tabench data verify NAME --root ROOT` looks at every image"
Sound = Callable[[Callable[[], T]], T | None]  # calls a reader; what it refuses is a problem, and None
Arrays = Iterator[tuple[str, Path, Values]]


def verify_images(
    report: VerifyReport,
    images: Mapping[str, Sequence[Any]],
    read: Callable[[str, Any, Sound[Any]], Arrays],
    *,
    classes: Mapping[str, Sequence[str]],
    largest: Mapping[str, float],
    lists: Mapping[str, Path],
    progress: Progress | None = None,
) -> Checks:
    """Read every image of a folder; content never makes this raise.

    Args:
        report: Gets the problems and the warnings.
        images: What tells the images of "train" and of "val" apart: their numbers or names.
        read: Given "train" or "val", an image, and `Sound`, gives (kind, file, array as a `Sample` has it)
            for each kind that can be read.
        classes: Kind to the names of its classes.
        largest: Kind to the largest published value.
        lists: The files or folders that problems of all images together are told of.
        progress: Called with (images done, images in all, image).

    Returns:
        The checks of both splits together.
    """

    def sound(reader: Callable[[], Any]) -> Any:
        try:
            return reader()
        except DataError as error:
            report.problems.append(f"{error.where}: {error.message}")
            return None

    checks = {folder: Checks(classes, largest) for folder in lists}
    jobs = [(folder, image) for folder, found in images.items() for image in found]
    for done, (folder, image) in enumerate(jobs, start=1):
        name = f"{folder}/{image}"
        for kind, path, array in read(folder, image, sound):
            problem = checks[folder].look(name, kind, array)
            if problem is not None:
                report.problems.append(f"{path}: {problem}")
        if progress is not None:
            progress(done, len(jobs), f"read {name}")
    one, other = checks.values()
    for folder, found in checks.items():
        report.problems += [f"{lists[folder]}: {line}" for line in found.problems()]
        report.warnings += [f"{folder}: {line}" for line in found.warnings()]
    report.warnings += twins(one, other)
    total = Checks(classes, largest)
    total.kinds = {kind: one.of(kind) + other.of(kind) for kind in (*one.kinds, *other.kinds)}
    return total


def spot_check(
    splits: Mapping[str, Split],
    class_names: Sequence[str],
    largest: Mapping[str, float],
    kinds: Collection[str] | None = None,
) -> list[str]:
    """Read up to `LOOKS` images of each split, evenly spread and always the same, and check them.

    The first split is trained on. Looked at are the `kinds`, "image" and targets; None is all.

    Returns:
        What is suspicious, a line each.

    Raises:
        DataError: Values that these kinds cannot have; names the image's file, or the split.
    """
    warnings: list[str] = []
    seen: list[Checks] = []
    for name, split in splits.items():
        checks = Checks({"label": class_names}, largest)
        evenly = np.linspace(0, len(split) - 1, LOOKS if len(split) else 0)
        places = np.unique(evenly.round().astype(int)).tolist()
        where = name if len(places) == len(split) else f"{name}, {len(places)} of {len(split)} images"
        for index in places:
            sample = split.load(index)
            for kind, array in {"image": sample.image, **sample.targets}.items():
                problem = checks.look(sample.id, kind, array) if kinds is None or kind in kinds else None
                if problem:
                    file = split.files(index).get(kind)
                    raise DataError(problem, where=str(file or f"{sample.id}, {kind}"), hint=HINT)
        if problems := checks.problems():
            raise DataError(problems[0], where=where, hint=HINT)
        warnings += [f"{where}: {line}" for line in checks.warnings()]
        seen.append(checks)
    return [*warnings, *(line for other in seen[1:] for line in twins(seen[0], other))]


def check_folder(dataset: DatasetDef, root: Path) -> list[str]:
    """Look at the two splits of a folder; see `spot_check`.

    Raises:
        DataError: Files are missing or hold what they cannot hold.
    """
    splits = {name: dataset.split(root, name) for name in ("train", "val")}
    return spot_check(splits, dataset.class_names, dataset.largest)
