"""Energy of a GPU as its driver counts it."""

from __future__ import annotations

import importlib

import torch


def gpu_energy_j(device: torch.device) -> float | None:
    """Joules a CUDA device has used since its driver was loaded; differences of two calls are a run's.

    The counter is of the whole device: what other processes use at the same time is in it. It is read
    through NVIDIA's management library, which needs the optional package nvidia-ml-py.

    Returns:
        None where the driver does not tell: no GPU, no such package, or a card without a counter.
    """
    if device.type != "cuda":
        return None
    try:
        nvml = importlib.import_module("pynvml")
        nvml.nvmlInit()
        handle = nvml.nvmlDeviceGetHandleByUUID(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
        return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000  # from mJ
    except Exception:
        return None
