"""Coloured predictions and error maps of a few images, for the report's grids."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from tabench.data.base import Split
from tabench.encoders.msam import MSam
from tabench.engine.unit import Unit
from tabench.store.atomic import write_bytes
from tabench.store.folders import file_stem
from tabench.tasks.base import Task


def positions(count: int, wanted: int) -> list[int]:
    """Evenly spaced positions: the middle of each of `wanted` equal parts of a split."""
    wanted = min(count, wanted)
    return [(2 * part + 1) * count // (2 * wanted) for part in range(wanted)]


def save_pictures(
    model: MSam,
    unit: Unit,
    tasks: Mapping[str, Task],
    split: Split,
    wanted: int,
    device: torch.device,
    folder: Path,
) -> list[dict[str, Any]]:
    """Write each chosen image's coloured prediction and error map (255 = error 1; no label: 0).

    Returns:
        The record's entries: {"id", "files": {task: {"pred": name, "error": name}}}.

    Raises:
        StoreError: The folder cannot be written.
    """
    entries = []
    model.eval()
    for index in positions(len(split), wanted):
        sample = split.load(index)
        image = torch.from_numpy(np.ascontiguousarray(sample.image))[None].to(device)
        with torch.inference_mode():
            outputs = model(image, tuple(image.shape[-2:]))
        files: dict[str, dict[str, str]] = {}
        for name in unit.tasks:
            task = tasks[name]
            prediction = task.activate(outputs[name].float())[0].cpu().numpy()
            error = task.error_map(prediction, sample.targets[task.needs])
            stem = f"{file_stem(sample.id)}.{name}"
            files[name] = {"pred": f"{stem}.pred.png", "error": f"{stem}.error.png"}
            write_bytes(folder / files[name]["pred"], png(task.colour_prediction(prediction)))
            grey = np.rint(255 * np.nan_to_num(np.clip(error, 0, 1), nan=0.0)).astype(np.uint8)
            write_bytes(folder / files[name]["error"], png(grey))
        entries.append({"id": sample.id, "files": files})
    return entries


def save_truth(tasks: Mapping[str, Task], split: Split, wanted: int, folder: Path) -> None:
    """Write the chosen images and their coloured targets, unless they are there already.

    Raises:
        StoreError: The folder cannot be written.
    """
    for index in positions(len(split), wanted):
        sample = split.load(index)
        stem = file_stem(sample.id)
        shown = np.rint(255 * np.clip(sample.image, 0, 1)).astype(np.uint8).transpose(1, 2, 0)
        wanted_files = {f"{stem}.input.png": shown}
        for name, task in tasks.items():
            wanted_files[f"{stem}.{name}.png"] = task.colour_target(sample.targets[task.needs])
        for name, pixels in wanted_files.items():
            if not (folder / name).exists():
                write_bytes(folder / name, png(pixels))


def merge_pictures(parts: list[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """Join the entries of several units, image by image."""
    merged: dict[str, dict[str, Any]] = {}
    for entry in (entry for part in parts for entry in part):
        held = merged.setdefault(entry["id"], {"id": entry["id"], "files": {}})
        held["files"].update(entry["files"])
    return list(merged.values())


def png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """Encode (H, W) grey or (H, W, 3) colour; 256 colours or fewer become a lossless palette."""
    image = Image.fromarray(pixels)
    if image.mode == "RGB" and (found := image.getcolors(256)) is not None:
        palette = np.array(sorted(colour for _, colour in found), dtype=np.uint8)
        codes = pixels.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
        known = palette.astype(np.uint32) @ np.array([65536, 256, 1], dtype=np.uint32)
        image = Image.fromarray(np.searchsorted(known, codes).astype(np.uint8), mode="P")
        image.putpalette(palette.tobytes())
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()
