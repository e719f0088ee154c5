"""Peak memory of one cell, also where many share a process."""

from __future__ import annotations

import contextlib
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
