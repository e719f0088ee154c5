"""Where a cell is computed, and how many images share a forward pass."""

from __future__ import annotations

import torch

from tabench.catalog import BACKBONES
from tabench.errors import SpecError
from tabench.sam.geometry import SMALL_IMAGE
from tabench.spec.cell import Cell


def choose_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda" or "cuda:N" into a device.

    Raises:
        SpecError: The device does not exist here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SpecError(
            f"unknown device '{name}'", where="--device", hint="use auto, cpu, cuda or cuda:1"
        ) from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise SpecError(
            f"'{name}' asked for, {count} CUDA device(s) found", where="--device", hint="--device auto"
        )
    return device


def forward_sizes(cell: Cell, micro_batch: int) -> tuple[int, int]:
    """Images per forward pass in training and in evaluation.

    `micro_batch` 0 chooses: the whole batch for small inputs, one image for SAM's 1024 pixels.
    """
    small = BACKBONES.get(cell.backbone.name).image_size <= SMALL_IMAGE
    batch = cell.train.batch_size
    chosen = min(micro_batch or (batch if small else 1), batch)
    return chosen, batch if small else 1
