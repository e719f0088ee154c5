"""Where a cell is computed."""

from __future__ import annotations

import torch

from tabench.errors import SpecError


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
