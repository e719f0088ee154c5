"""A look at a few images of each split, before anything is trained on them or after they were prepared."""

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

    Args:
        splits: By name; the first one is trained on.
        class_names: Names of the classes of "label".
        largest: Kind to the largest published value.
        kinds: What is looked at, "image" and targets; None is all.

    Returns:
        What is suspicious, a line each.

    Raises:
        DataError: Values that these kinds cannot have; names the image's file, or the split.
    """
    warnings: list[str] = []
    seen: list[Checks] = []
    for name, split in splits.items():
        checks = Checks(class_names, largest)
        places = (
            np.unique(np.linspace(0, len(split) - 1, LOOKS).round().astype(int)).tolist()
            if len(split)
            else []
        )
        for index in places:
            sample = split.load(index)
            for kind, array in {"image": sample.image, **sample.targets}.items():
                problem = checks.look(sample.id, kind, array) if kinds is None or kind in kinds else None
                if problem:
                    file = split.files(index).get(kind)
                    raise DataError(problem, where=str(file or f"{sample.id}, {kind}"), hint=HINT)
        if problems := checks.problems():
            raise DataError(problems[0], where=_where(name, places, split), hint=HINT)
        warnings += [f"{_where(name, places, split)}: {line}" for line in checks.warnings()]
        seen += [checks]
    return [*warnings, *(line for other in seen[1:] for line in twins(seen[0], other))]


def check_folder(dataset: DatasetDef, root: Path) -> list[str]:
    """Look at the two splits of a folder; see `spot_check`.

    Raises:
        DataError: Files are missing or hold what they cannot hold.
    """
    splits = {name: dataset.split(root, name) for name in ("train", "val")}
    return spot_check(splits, dataset.class_names, dataset.largest)


def _where(name: str, places: Sequence[int], split: Split) -> str:
    return name if len(places) == len(split) else f"{name}, {len(places)} of {len(split)} images"
