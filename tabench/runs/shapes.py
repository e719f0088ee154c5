"""Images that cannot share a batch, found from their files' headers before anything is trained."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tabench.catalog import DATASETS
from tabench.data.base import Split
from tabench.engine.batch_split import BatchSplit, choose_batch_split
from tabench.errors import DataError
from tabench.runs.executor import Job
from tabench.text import few


def check_shapes(jobs: Iterable[Job]) -> None:
    """Check every split that cells train, select or report on.

    Raises:
        DataError: An image's files differ in height and width; or images that would be in one batch do.
    """
    largest: dict[tuple[str, Path, str], int] = {}
    for job in jobs:
        cell, part = job.cell, job.cell.dataset
        evaluated = choose_batch_split(cell, BatchSplit()).evaluated
        batches = [(part.train_split, cell.train.batch_size), (part.eval_split, evaluated)]
        if cell.evaluation.selection == "best-val":
            batches.append((cell.evaluation.val_split, evaluated))
        for name, batch in batches:
            key = (part.name, job.data_root, name)
            largest[key] = max(batch, largest.get(key, 1))
    for (dataset, root, name), batch in largest.items():
        _check(DATASETS.get(dataset).split(root, name), root, name, batch)


def _check(split: Split, root: Path, name: str, batch: int) -> None:
    shapes = {}
    for index, image in enumerate(split.ids):
        shape = split.shape(index)
        if shape is None:  # only reading tells
            return
        shapes[image] = shape
    (usual, _), *others = Counter(shapes.values()).most_common()
    if others and batch > 1:
        odd = [f"{image} is {shape[0]}x{shape[1]}" for image, shape in shapes.items() if shape != usual]
        raise DataError(
            f"{len(odd)} of {len(shapes)} images of '{name}' are not {usual[0]}x{usual[1]} as the others: "
            f"{few(odd)}",
            where=str(root),
            hint="a batch holds images of one size: resize these, or set train.batch_size to 1",
        )
