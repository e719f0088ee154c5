"""Where a cell is computed."""

from __future__ import annotations

import torch

from tabench.errors import SpecError
from tabench.provenance.environment import check_device


def choose_device(name: str) -> torch.device:
    """Turn "auto", "cpu", "cuda" or "cuda:N" into a device.

    Raises:
        SpecError: The device does not exist here, or is none that cells run on.
    """
    if check_device(name) == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind == "cuda" and int(index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise SpecError(
            f"'{name}' asked for, {count} CUDA device(s) found", where="--device", hint="--device auto"
        )
    return torch.device(name)
