"""What a cell takes of its machine: peak memory, also where cells share a process, and a GPU's energy."""

from __future__ import annotations

import contextlib
import importlib
import re
import resource
import sys
from pathlib import Path

import torch


def reset_peak_memory() -> None:
    """Start counting anew, where the system can."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()


def peak_memory() -> dict[str, float]:
    """Megabytes: "peak_rss_mb" of the process, "peak_gpu_mb" if a GPU was used."""
    found = {"peak_rss_mb": round(_peak_rss_kb() / 1024, 1)}
    if torch.cuda.is_available() and torch.cuda.max_memory_allocated():
        found["peak_gpu_mb"] = round(torch.cuda.max_memory_allocated() / 2**20, 1)
    return found


def _peak_rss_kb() -> float:
    with contextlib.suppress(OSError):
        match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
        if match:
            return float(match[1])
    peak = float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
    return peak / 1024 if sys.platform == "darwin" else peak  # there in bytes


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
