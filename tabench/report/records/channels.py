"""The pictures of Figure 1: SAM's masks and the raw channels of a trained mSAM, for one image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from tabench.errors import StoreError
from tabench.report.records.grid import Pixels
from tabench.report.records.reading import CellResult, Results
from tabench.store.folders import CellFolder, ExperimentFolder

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Channels:
    """Figure 1.

    Attributes:
        cell: The run whose channels are shown.
        image: Image id.
        input: The image (H, W, 3).
        masks: SAM's masks (H, W), 255 inside; empty if they were not kept.
        tasks: Task to its raw channels (h, w), each scaled to its own range; black is the lowest value.
        names: Task to the names of its channels, for tasks with classes.
    """

    cell: CellResult
    image: str
    input: Pixels
    masks: Sequence[Grey]
    tasks: Mapping[str, Sequence[Grey]]
    names: Mapping[str, Sequence[str]]


def read_channels(results: Results) -> Channels | None:
    """Find the kept channels; None if no finished run has them.

    Of the runs that kept channels, the last method of the grid that did is shown, else the first method, with
    its lowest seed. An image is shown only with all channels of all tasks.
    """
    named = (results.row(str(name)) for name in reversed(results.report.get("grid") or []))
    order = dict.fromkeys([*(row for row in named if row is not None), *results.methods])
    for cell in (cell for method in order for cell in results.of(method)):
        found = _of_cell(results, cell)
        if found is not None:
            return found
    return None


def caption(results: Results, found: Channels) -> str:
    """What is shown, and how grey values are to be read."""
    total = sum(len(channels) for channels in found.tasks.values())
    masks = (
        f"SAM answers one prompt (a point at the image's centre) with {len(found.masks)} mask levels of one "
        "channel each; "
        if found.masks
        else "SAM's own masks were not kept; "
    )
    return (
        f"{masks}mSAM without a prompt gives each task its own number of channels ({total} in all), here the "
        f"raw outputs of {results.title(found.cell.method)}, seed {found.cell.seed}, for image "
        f"{found.image}, the first of the pictures that the experiment keeps. Every channel is scaled to its "
        "own range: black its lowest value in this image, white its highest."
    )


def _of_cell(results: Results, cell: CellResult) -> Channels | None:
    record = cell.record
    if not record["pictures"]:
        return None
    image = str(record["pictures"][0]["id"])
    dataset = record["cell"]["dataset"]
    folder = CellFolder(results.root, results.name, cell.id)
    tasks = {}
    for task, count in zip(dataset["tasks"], dataset["channels"], strict=True):
        paths = [folder.channel(image, task, index) for index in range(count)]
        if not all(path.is_file() for path in paths):
            return None
        tasks[task] = [_opened(path, "L") for path in paths]
    place = ExperimentFolder(results.root, results.name)
    shown = place.truth_picture(cell.content, image, "input")
    if not shown.is_file():
        return None
    masks: list[Grey] = []
    sha256 = str(record["backbone"]["sha256"])
    while (path := place.sam_mask(cell.content, image, sha256, len(masks))).is_file():
        masks.append(_opened(path, "L"))
    names = {
        task: list(legend)
        for task, legend in record["legends"].items()
        if task in tasks and len(legend) == len(tasks[task])
    }
    return Channels(cell, image, _opened(shown, "RGB"), masks, tasks, names)


def _opened(path: object, mode: str) -> npt.NDArray[np.uint8]:
    try:
        with Image.open(str(path)) as opened:
            return np.asarray(opened.convert(mode))
    except OSError as error:
        raise StoreError(
            f"cannot be read as a picture: {error}",
            where=str(path),
            hint="remove the file (the report works without it), or run the cell again",
        ) from error
