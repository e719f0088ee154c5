"""Pictures of one image's outputs: every channel of mSAM, and the masks of the promptable SAM."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from tabench.data.base import Sample, Split
from tabench.encoders.msam import MSam
from tabench.encoders.sam.build import build_sam
from tabench.encoders.sam.geometry import Backbone
from tabench.engine.pictures import png, positions
from tabench.store.atomic import write_bytes
from tabench.store.folders import file_stem

SIDE = 96  # pixels of a thumbnail's long side
GREYS = 32  # fewer greys make smaller files than all 256


def save_channels(model: MSam, split: Split, wanted: int, device: torch.device, folder: Path) -> None:
    """Write every raw channel of every task for the first kept picture, each scaled to its own range.

    The files are ``channels.<image>.<task>.<channel>.png``, 8-bit grey: 0 the channel's lowest value in this
    image, 255 its highest.

    Args:
        model: A trained model of all tasks.
        split: Where the pictures come from.
        wanted: Number of pictures the cell keeps; 0 writes nothing.
        device: Where the model is.
        folder: The cell's pictures.

    Raises:
        StoreError: The folder cannot be written.
    """
    sample = _first(split, wanted)
    if sample is None:
        return
    model.eval()
    image = torch.from_numpy(np.ascontiguousarray(sample.image))[None].to(device)
    with torch.inference_mode():
        outputs = model(image, (int(image.shape[-2]), int(image.shape[-1])))
    for task, channels in outputs.items():
        for index, channel in enumerate(channels[0].double().cpu().numpy()):
            name = f"channels.{file_stem(sample.id)}.{task}.{index}.png"
            write_bytes(folder / name, png(_thumbnail(channel)))


def save_sam_masks(
    backbone: Backbone,
    weights: Mapping[str, Tensor],
    sha256: str,
    split: Split,
    wanted: int,
    device: torch.device,
    folder: Path,
) -> None:
    """Write SAM's three masks of the first kept picture for one point at its centre, unless they are there.

    The files are ``<image>.sam_masks.<sha256, 12 digits>.<level>.png``, 255 inside the mask, in the order of
    SAM's mask tokens.

    Args:
        backbone: SAM variant.
        weights: Its state dict.
        sha256: Of the weights file.
        split: Where the pictures come from.
        wanted: Number of pictures the cell keeps; 0 writes nothing.
        device: Where to compute.
        folder: Where the split's own pictures are.

    Raises:
        StoreError: The folder cannot be written.
    """
    sample = _first(split, wanted)
    if sample is None:
        return
    stem = f"{file_stem(sample.id)}.sam_masks.{sha256[:12]}"
    if all((folder / f"{stem}.{level}.png").is_file() for level in range(3)):
        return
    for level, mask in enumerate(sam_masks(backbone, weights, sample.image, device)):
        write_bytes(folder / f"{stem}.{level}.png", png(mask))


def sam_masks(
    backbone: Backbone, weights: Mapping[str, Tensor], image: npt.NDArray[np.float32], device: torch.device
) -> npt.NDArray[np.uint8]:
    """SAM's multimask output for one foreground point at the image's centre.

    It is the stock `Sam`, fed as it was trained whatever the cells' `pixel_norm`: long side resized to its
    input size, 0..255, its own mean and standard deviation.

    Args:
        backbone: SAM variant.
        weights: Its state dict.
        image: (3, H, W) in 0..1.
        device: Where to compute.

    Returns:
        (3, H, W), 255 inside the mask and 0 outside.
    """
    sam = build_sam(backbone)
    sam.load_state_dict(dict(weights))
    sam.to(device).eval()
    height, width = image.shape[-2:]
    scale = backbone.image_size / max(height, width)
    inner = (int(height * scale + 0.5), int(width * scale + 0.5))
    pixels = 255 * torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None].to(device)
    resized = F.interpolate(pixels, inner, mode="bilinear", align_corners=False, antialias=True)
    centre = torch.tensor([[[inner[1] / 2, inner[0] / 2]]], device=device)
    (found,) = sam(
        [
            {
                "image": resized[0],
                "original_size": (height, width),
                "point_coords": centre,
                "point_labels": torch.ones(1, 1, device=device),
            }
        ],
        multimask_output=True,
    )
    masks: npt.NDArray[np.uint8] = found["masks"][0].to(torch.uint8).mul(255).cpu().numpy()
    return masks


def _first(split: Split, wanted: int) -> Sample | None:
    chosen = positions(len(split), wanted)
    return split.load(chosen[0]) if chosen else None


def _thumbnail(channel: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    low, high = float(channel.min()), float(channel.max())
    grey = np.rint(255 * (channel - low) / max(high - low, 1e-30)).astype(np.uint8)
    height, width = grey.shape
    scale = min(1.0, SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = np.asarray(Image.fromarray(grey).resize(size, Image.Resampling.BOX), dtype=np.float64)
    top = GREYS - 1
    return np.rint(np.rint(small * top / 255) * 255 / top).astype(np.uint8)
