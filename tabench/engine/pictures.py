"""Pictures that a run keeps for the report: predictions and their errors, extremes, channels, SAM's masks."""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tabench.data.base import Sample, Split
from tabench.encoders.base import Encoder
from tabench.encoders.msam import MSam
from tabench.engine.context import TrainContext
from tabench.engine.evaluate import Result
from tabench.store.atomic import write_bytes
from tabench.store.folders import file_stem
from tabench.tasks.base import Task

SIDE = 96  # pixels of a channel's long side
GREYS = 32  # of a channel: fewer make smaller files than all 256
COLOURS = 64  # of an extreme: a smooth prediction keeps its look with these, at a third of the bytes
Pixels = npt.NDArray[np.uint8]


def positions(count: int, wanted: int) -> list[int]:
    """Evenly spaced positions: the middle of each of `wanted` equal parts of a split."""
    wanted = min(count, wanted)
    return [(2 * part + 1) * count // (2 * wanted) for part in range(wanted)]


def save_pictures(model: MSam, context: TrainContext, folder: Path) -> list[dict[str, Any]]:
    """Write the coloured predictions and error maps (255 = error 1; no label: 0) of evenly spaced images.

    Returns:
        The record's entries: {"id", "files": {task: {"pred": name, "error": name}}}.

    Raises:
        StoreError: The folder cannot be written.
    """
    entries, tasks, split = [], context.tasks, context.evaluated
    for index in positions(len(split), context.cell.evaluation.pictures):
        sample = split.load(index)
        files: dict[str, dict[str, str]] = {}
        for name, prediction in _predictions(model, context, sample, context.unit.tasks):
            error = tasks[name].error_map(prediction, sample.targets[tasks[name].needs])
            stem = f"{file_stem(sample.id)}.{name}"
            files[name] = {"pred": f"{stem}.pred.png", "error": f"{stem}.error.png"}
            write_bytes(folder / files[name]["pred"], png(tasks[name].colour_prediction(prediction)))
            write_bytes(folder / files[name]["error"], png(_bytes(np.nan_to_num(error, nan=0.0))))
        entries.append({"id": sample.id, "files": files})
    return entries


def save_truth(tasks: Mapping[str, Task], split: Split, wanted: int, folder: Path) -> None:
    """Write the same images and their coloured targets, unless they are there already.

    Raises:
        StoreError: The folder cannot be written.
    """
    for index in positions(len(split), wanted):
        _keep_truth(tasks, split.load(index), folder)


def merge_pictures(parts: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Join the entries of several units, image by image."""
    merged: dict[str, dict[str, Any]] = {}
    for entry in (entry for part in parts for entry in part):
        held = merged.setdefault(entry["id"], {"id": entry["id"], "files": {}})
        held["files"].update(entry["files"])
    return list(merged.values())


def extreme_images(task: Task, results: Sequence[Result]) -> list[str]:
    """Ids of the best and of the worst image by a task's first metric that has a value for each image.

    The task's main protocol decides. Equal values are ordered by id, as the report orders them; none where no
    image has a value.
    """
    main = next((r for r in results if (r.task, r.protocol) == (task.name, task.protocols[0])), None)
    metric = next((m for m in task.metrics if main is not None and m.key in main.per_image), None)
    if main is None or metric is None:
        return []
    sign = 1 if metric.better == "lower" else -1
    values = main.per_image[metric.key].items()
    # NaN compares as neither smaller nor larger, and would leave the order to chance.
    order = sorted((sign * value, image) for image, value in values if math.isfinite(value))
    return [order[0][1], order[-1][1]] if order else []


def save_extremes(
    model: MSam, context: TrainContext, results: Sequence[Result], folder: Path, truth: Path
) -> None:
    """Write the predictions of each task's best and worst image, and beside the truth what they should be.

    A file that is there stays. The record does not name these files: a report looks for them.

    Raises:
        StoreError: A folder cannot be written.
    """
    tasks, split = context.tasks, context.evaluated
    wanted: dict[str, list[str]] = {}
    for name in context.unit.tasks:
        for image in extreme_images(tasks[name], results):
            wanted.setdefault(image, []).append(name)
    for index, image in enumerate(split.ids):
        if image in wanted:
            sample = split.load(index)
            _keep_truth({name: tasks[name] for name in wanted[image]}, sample, truth)
            for name, prediction in _predictions(model, context, sample, wanted[image]):
                coloured = _few_colours(tasks[name].colour_prediction(prediction))
                _keep(folder / f"{file_stem(image)}.{name}.pred.png", coloured)


def save_channels(model: MSam, split: Split, wanted: int, device: torch.device, folder: Path) -> None:
    """Write every raw channel of every task for the first kept picture, each scaled to its own range.

    The files are ``channels.<image>.<task>.<channel>.png``, 8-bit grey: 0 the channel's lowest value in this
    image, 255 its highest. With `wanted` 0 nothing is written.

    Raises:
        StoreError: The folder cannot be written.
    """
    for index in positions(len(split), wanted)[:1]:
        sample = split.load(index)
        for task, channels in _outputs(model, sample, device).items():
            for number, channel in enumerate(channels[0].double().cpu().numpy()):
                name = f"channels.{file_stem(sample.id)}.{task}.{number}.png"
                write_bytes(folder / name, png(_thumbnail(channel)))


def save_sam_masks(
    backbone: Encoder,
    weights: Mapping[str, Tensor],
    sha256: str,
    split: Split,
    wanted: int,
    device: torch.device,
    folder: Path,
) -> None:
    """Write SAM's three masks of the first kept picture for one point at its centre, unless they are there.

    The files are ``<image>.sam_masks.<sha256 of the weights, 12 digits>.<level>.png``, 255 inside the mask,
    in the order of SAM's mask tokens, beside the split's own pictures. With `wanted` 0 nothing is written.

    Raises:
        StoreError: The folder cannot be written.
    """
    for index in positions(len(split), wanted)[:1]:
        sample = split.load(index)
        stem = f"{file_stem(sample.id)}.sam_masks.{sha256[:12]}"
        files = [folder / f"{stem}.{level}.png" for level in range(3)]
        if not all(path.is_file() for path in files):
            for path, mask in zip(files, sam_masks(backbone, weights, sample.image, device), strict=True):
                write_bytes(path, png(mask))


def sam_masks(
    backbone: Encoder, weights: Mapping[str, Tensor], image: npt.NDArray[np.float32], device: torch.device
) -> Pixels:
    """SAM's multimask output (3, H, W), 255 inside, for a point at an image's centre.

    The image is (3, H, W) in 0..1. It is the stock `Sam`, fed as it was trained whatever the cells'
    `pixel_norm`: long side resized to its input size, 0..255, its own mean and standard deviation.
    """
    sam = backbone.promptable()
    sam.load_state_dict(dict(weights))
    sam.to(device).eval()
    height, width = image.shape[-2:]
    scale = backbone.image_size / max(height, width)
    inner = (int(height * scale + 0.5), int(width * scale + 0.5))
    pixels = 255 * torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None].to(device)
    resized = F.interpolate(pixels, inner, mode="bilinear", align_corners=False, antialias=True)
    prompt = {
        "image": resized[0],
        "original_size": (height, width),
        "point_coords": torch.tensor([[[inner[1] / 2, inner[0] / 2]]], device=device),
        "point_labels": torch.ones(1, 1, device=device),
    }
    (found,) = sam([prompt], multimask_output=True)
    masks: Pixels = found["masks"][0].to(torch.uint8).mul(255).cpu().numpy()
    return masks


def png(pixels: Pixels) -> bytes:
    """Encode (H, W) grey or (H, W, 3) colour; 256 colours or fewer become a lossless palette."""
    image = Image.fromarray(pixels)
    if image.mode == "RGB" and (found := image.getcolors(256)) is not None:
        # Sorted for the search below, and so that the same picture has the same bytes on every machine.
        palette = np.array(sorted(colour for _, colour in found), dtype=np.uint8)
        codes = pixels.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
        known = palette.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
        image = Image.fromarray(np.searchsorted(known, codes).astype(np.uint8), mode="P")
        image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def _outputs(model: MSam, sample: Sample, device: torch.device) -> dict[str, Tensor]:
    """Raw channels (1, N_t, H, W) of all tasks for one image."""
    model.eval()
    image = torch.from_numpy(np.ascontiguousarray(sample.image))[None].to(device)
    with torch.inference_mode():
        return model(image, (int(image.shape[-2]), int(image.shape[-1])))


def _predictions(
    model: MSam, context: TrainContext, sample: Sample, names: Iterable[str]
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Activated predictions (N_t, H, W) of some tasks for one image."""
    outputs = _outputs(model, sample, context.device)
    for name in names:
        yield name, context.tasks[name].activate(outputs[name].float())[0].cpu().numpy()


def _keep_truth(tasks: Mapping[str, Task], sample: Sample, folder: Path) -> None:
    stem = file_stem(sample.id)
    _keep(folder / f"{stem}.input.png", _bytes(sample.image).transpose(1, 2, 0))
    for name, task in tasks.items():
        _keep(folder / f"{stem}.{name}.png", task.colour_target(sample.targets[task.needs]))


def _keep(path: Path, pixels: Pixels) -> None:
    """Write (H, W) or (H, W, 3), unless the file is there."""
    if not path.exists():
        write_bytes(path, png(pixels))


def _bytes(values: npt.NDArray[np.float32]) -> Pixels:
    """Values in 0..1 as 0..255."""
    return np.rint(255 * np.clip(values, 0, 1)).astype(np.uint8)


def _few_colours(pixels: Pixels) -> Pixels:
    """The same picture (H, W, 3) if it is flat, a close one otherwise."""
    image = Image.fromarray(pixels)
    if image.getcolors(256) is not None:
        return pixels
    few = image.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    return np.asarray(few.convert("RGB"))


def _thumbnail(channel: npt.NDArray[np.float64]) -> Pixels:
    low, high = float(channel.min()), float(channel.max())
    grey = np.rint(255 * (channel - low) / max(high - low, 1e-30)).astype(np.uint8)
    height, width = grey.shape
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX), dtype=np.float64)
    top = GREYS - 1
    return np.rint(np.rint(small * top / 255) * 255 / top).astype(np.uint8)
