"""What a cell runs on and takes: its code, memory where cells share a process, a GPU's energy."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import re
import resource
import sys
from pathlib import Path
from typing import Any

import torch

from tabench.catalog import BACKBONES, BALANCERS, DATASETS, METHODS, TASKS
from tabench.engine.probes import probes
from tabench.engine.process_group import choose_device
from tabench.errors import TabenchError
from tabench.provenance.code import check_code, code_of
from tabench.provenance.environment import capture
from tabench.registry import Registry
from tabench.spec.cell import Cell


def check_cell(cell: Cell) -> None:
    """Refuse a cell whose code is not what this process would run; see `check_code` for what is raised."""
    for registry, name, planned in _named(cell):
        check_code(registry, name, planned)


def environment_of(cell: Cell) -> dict[str, Any]:
    """What a cell ran on (see `capture`), as run.json tells it.

    "probes" has what its libraries compute, "packages" the distributions that its code imports or declares,
    and "outside", where there is any, whose code it took: "method bias-only" to distribution, version and
    sha256.
    """
    content = capture() | {"probes": probes()}
    with contextlib.suppress(TabenchError):  # a name that is not known here has failed the cell already
        codes = {f"{registry.kind} {name}": code_of(registry, name) for registry, name, _ in _named(cell)}
        for code in codes.values():
            content["packages"] |= {**code.libraries, **code.requires}
        facts = ("distribution", "version", "sha256")
        outside = {k: {f: getattr(code, f) for f in facts} for k, code in codes.items() if code.sha256}
        content |= {"outside": outside} if outside else {}
    return content


def _named(cell: Cell) -> list[tuple[Registry[Any], str, str]]:
    """Registry and name of all that it names, with the code that the cell holds."""
    return [
        (DATASETS, cell.dataset.name, cell.dataset.code),
        *((TASKS, name, cell.dataset.task_code.get(name, "")) for name in cell.dataset.tasks),
        (BACKBONES, cell.backbone.name, cell.backbone.code),
        (METHODS, cell.method.name, cell.method.code),
        (BALANCERS, cell.balancing.name, cell.balancing.code),
    ]


def keep_freed_memory(*, large: bool) -> None:
    """Have glibc, where it is the C library, keep what this process frees for what it asks for next.

    Else each block goes back to the system at once and comes anew, page by page: at SAM's own size that takes
    longer than the element-wise work inside, and 7,000 page faults a step at the demo's. `large` keeps blocks
    beyond 32 MiB, too: for the fast path alone, as whole matrices of scores leave gaps that double the peak.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(-3, 32 << 20)  # M_MMAP_THRESHOLD, at its most: larger ones are mapped apart
        libc.mallopt(-4, 0 if large else 65536)  # M_MMAP_MAX: no block is mapped apart, or glibc's own number
        libc.mallopt(-1, -1)  # M_TRIM_THRESHOLD: the heap does not shrink


def reset_peak_memory() -> None:
    """Start counting anew, where the system can."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL("libc.so.6").malloc_trim(0)  # what the cell before left is not this one's
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


def gpu_energy_j(device: str, processes: int = 1) -> float | None:
    """Joules that CUDA devices, with all their processes, have used since the driver was loaded.

    Of the device, or of the first ones where each process has its own. None where the driver does not tell:
    no GPU, no package nvidia-ml-py, or a card without a counter.
    """
    with contextlib.suppress(Exception):  # a device that does not exist is the run's failure, not the meter's
        if (chosen := choose_device(device)).type == "cuda":
            nvml = importlib.import_module("pynvml")
            nvml.nvmlInit()
            joules = 0.0
            for used in range(processes) if processes > 1 else [chosen]:
                uuid = f"GPU-{torch.cuda.get_device_properties(used).uuid}"
                joules += (
                    nvml.nvmlDeviceGetTotalEnergyConsumption(nvml.nvmlDeviceGetHandleByUUID(uuid)) / 1000
                )
            return joules
    return None
