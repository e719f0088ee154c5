"""Tensors on their way from the host to a device."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, device


def pinned(tensor: Tensor, to: device) -> Tensor:
    """The tensor in memory that a CUDA device copies from by itself; unchanged for other devices."""
    return tensor.pin_memory() if to.type == "cuda" else tensor


def send(tensor: Tensor, to: device) -> Tensor:
    """The tensor on a device; on CUDA the copy is queued behind the device's work and not waited for."""
    return pinned(tensor, to).to(to, non_blocking=True)
