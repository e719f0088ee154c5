"""What would make every cell fail, found before anything is trained; and data that is made for a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path

from tabench.catalog import BACKBONES, DATASETS
from tabench.data.base import Progress
from tabench.engine.batch_split import BatchSplit, choose_batch_split
from tabench.engine.process_group import choose_device
from tabench.errors import DataError, StoreError
from tabench.runs.executor import Job
from tabench.runs.plan import Plan
from tabench.text import few


def check_inputs(plan: Plan, jobs: Iterable[Job], device: str, say: Callable[[str], None]) -> None:
    """Check the device, the images and the backbone's weights of a plan's jobs.

    `say` gets a line about weights that will do but are not the published ones.

    Raises:
        TabenchError: Images that would be in one batch differ in height and width, or an image's files do;
            the weights cannot be read or do not fit; there is no such device.
    """
    choose_device(device)
    resolution = plan.resolution
    if resolution.generate is None:
        check_shapes(jobs)
    backbone, path = BACKBONES.get(resolution.settings.backbone.name), resolution.checkpoint
    backbone.load(path, lambda note: say(f"{path}: {note}"))


def generate_data(plan: Plan, progress: Progress | None = None) -> None:
    """Write the plan's synthetic dataset, or what is missing of it; of another dataset nothing."""
    generate, root = plan.resolution.generate, plan.resolution.data_root
    if generate is None:
        return
    dataset = DATASETS.get(plan.resolution.resolved.dataset_name)
    try:
        dataset.make(root, progress=progress, **generate.model_dump())
    except (OSError, StoreError) as error:
        raise StoreError(
            f"the {dataset.name} cannot be written: {error}",
            where=str(root),
            hint="set TABENCH_CACHE to a folder that can be written",
        ) from error


def check_shapes(jobs: Iterable[Job]) -> None:
    """Check the shapes of every split that cells train, select or report on, by their files' headers."""
    largest: dict[tuple[str, Path, str], int] = {}  # batch of a split
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
        split = DATASETS.get(dataset).split(root, name)
        shapes = {image: split.shape(index) for index, image in enumerate(split.ids)}
        if None in shapes.values() or batch == 1:  # only reading tells
            continue
        (usual, _), *others = Counter(shapes.values()).most_common()
        if others and usual:
            odd = [f"{image} is {s[0]}x{s[1]}" for image, s in shapes.items() if s and s != usual]
            raise DataError(
                f"{len(odd)} of {len(shapes)} images of '{name}' are not {usual[0]}x{usual[1]} as the "
                f"others: {few(odd)}",
                where=str(root),
                hint="a batch holds images of one size: resize these, or set train.batch_size to 1",
            )
