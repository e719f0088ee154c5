"""Pictures of each task's best and worst image, so that a report can show what its extremes look like."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from tabench.data.base import Split
from tabench.encoders.msam import MSam
from tabench.engine.evaluate import Result
from tabench.engine.pictures import png
from tabench.engine.unit import Unit
from tabench.store.atomic import write_bytes
from tabench.store.folders import file_stem
from tabench.tasks.base import Task

COLOURS = 64  # a smooth prediction keeps its look with these, at a third of the bytes


def extreme_images(task: Task, results: Sequence[Result]) -> list[str]:
    """Ids of the best and of the worst image by a task's first metric that has a value for each image.

    Equal values are ordered by id, as the report orders them; none where no image has a value.

    Args:
        task: The task.
        results: Of an evaluation; the task's main protocol decides.
    """
    main = next((r for r in results if (r.task, r.protocol) == (task.name, task.protocols[0])), None)
    metric = next((m for m in task.metrics if main is not None and m.key in main.per_image), None)
    if main is None or metric is None:
        return []
    sign = 1 if metric.better == "lower" else -1
    values = main.per_image[metric.key].items()
    order = sorted((sign * value, image) for image, value in values if math.isfinite(value))
    return [order[0][1], order[-1][1]] if order else []


def save_extremes(
    model: MSam,
    unit: Unit,
    tasks: Mapping[str, Task],
    split: Split,
    results: Sequence[Result],
    device: torch.device,
    folder: Path,
    truth: Path,
) -> None:
    """Write the predictions of each task's best and worst image, and beside the truth what they should be.

    A file that is there stays. The record does not name these files: a report looks for them.

    Raises:
        StoreError: A folder cannot be written.
    """
    wanted: dict[str, list[str]] = {}
    for name in unit.tasks:
        for image in extreme_images(tasks[name], results):
            wanted.setdefault(image, []).append(name)
    model.eval()
    for index, image in enumerate(split.ids):
        if image not in wanted:
            continue
        sample = split.load(index)
        pixels = torch.from_numpy(np.ascontiguousarray(sample.image))[None].to(device)
        with torch.inference_mode():
            outputs = model(pixels, tuple(pixels.shape[-2:]))
        shown = np.rint(255 * np.clip(sample.image, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
        _keep(truth / f"{file_stem(image)}.input.png", shown)
        for name in wanted[image]:
            task = tasks[name]
            prediction = task.activate(outputs[name].float())[0].cpu().numpy()
            coloured = _few_colours(task.colour_prediction(prediction))
            _keep(folder / f"{file_stem(image)}.{name}.pred.png", coloured)
            _keep(truth / f"{file_stem(image)}.{name}.png", task.colour_target(sample.targets[task.needs]))


def _keep(path: Path, pixels: npt.NDArray[np.uint8]) -> None:
    """Write (H, W, 3), unless the file is there."""
    if not path.exists():
        write_bytes(path, png(pixels))


def _few_colours(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """The same picture (H, W, 3) if it is flat, a close one otherwise."""
    image = Image.fromarray(pixels)
    if image.getcolors(256) is not None:
        return pixels
    few = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return np.asarray(few.convert("RGB"))
