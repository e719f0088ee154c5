"""A look at a few images of each split, before a run and after a preparation; see `data.checks`."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from tabench.data.base import DatasetDef, Split
from tabench.data.checks import Checks, twins
from tabench.errors import DataError

LOOKS = 16  # images of a split
HINT = "`tabench data verify NAME --root ROOT` looks at every image"


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
        checks = Checks(class_names, largest)
        evenly = np.linspace(0, len(split) - 1, LOOKS if len(split) else 0)
        places = np.unique(evenly.round().astype(int)).tolist()
        where = name if len(places) == len(split) else f"{name}, {len(places)} of {len(split)} images"
        for index in places:
            sample = split.load(index)
            for kind, problem in checks.faults(sample, kinds):
                file = split.files(index).get(kind)
                raise DataError(problem, where=str(file or f"{sample.id}, {kind}"), hint=HINT)
        if problems := checks.problems():
            raise DataError(problems[0], where=where, hint=HINT)
        warnings += [f"{where}: {line}" for line in checks.warnings()]
        seen.append(checks)
    return [*warnings, *(line for other in seen[1:] for line in twins(seen[0], other))]


def check_folder(dataset: DatasetDef, root: Path) -> list[str]:
    """Look at the two splits of a folder; see `spot_check`."""
    splits = {name: dataset.split(root, name) for name in ("train", "val")}
    return spot_check(splits, dataset.class_names, dataset.largest)
