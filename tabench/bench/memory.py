"""Peak memory of a work, over what its process held before: on the CPU resident, on CUDA allocated."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import re
from pathlib import Path

import torch

from tabench.bench.timing import OUT_OF_MEMORY, Work, within_memory


def peak_of(work: Work, device: torch.device) -> dict[str, float | str]:
    """Do a work once and measure its peak; call it in a process that has done nothing else.

    Returns:
        "base_mb" before, "peak_mb" during, "over_base_mb", and "counter": what was read (VmHWM where the
        system can reset it, else the process' highest so far).
    """
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        base = torch.cuda.memory_allocated(device) / 2**20
        work()
        return _figures(base, torch.cuda.max_memory_allocated(device) / 2**20, "CUDA allocator")
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what was freed is not part of the base
    reset = False
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        reset = True
    base = _status("VmRSS")
    work()
    return _figures(base, _status("VmHWM"), "VmHWM, reset" if reset else "VmHWM")


def kept_peak(work: Work, device: torch.device) -> dict[str, float | str]:
    """`peak_of`, or {"error": ...} where the device has no memory for it or the system does not tell."""
    found: dict[str, float | str] = {}
    try:
        if within_memory(lambda: found.update(peak_of(work, device))):
            return found
    except OSError as error:
        return {"error": str(error)}
    return {"error": OUT_OF_MEMORY}


def _figures(base: float, peak: float, counter: str) -> dict[str, float | str]:
    return {
        "base_mb": round(base, 1),
        "peak_mb": round(peak, 1),
        "over_base_mb": round(peak - base, 1),
        "counter": counter,
    }


def _status(key: str) -> float:
    """A line of /proc/self/status in MB.

    Raises:
        OSError: The system has none.
    """
    found = re.search(rf"^{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"), re.M)
    if not found:
        raise OSError(f"/proc/self/status does not tell {key}")
    return float(found[1]) / 1024
