"""Names of the devices that cells run on. No torch: a wrong one is told before anything is imported."""

from __future__ import annotations

import re

from tabench.errors import SpecError

DEVICES = "auto, cpu, cuda or cuda:1"


def check_device(name: str) -> str:
    """A device's name as it is, if it is one that cells run on.

    Raises:
        SpecError: It is another one. torch has more, which nothing here was ever tried on.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        hint = f"use {DEVICES}; other devices of torch (mps, xpu, ...) are not supported"
        raise SpecError(f"cells do not run on a device '{name}'", where="--device", hint=hint)
    return name
