"""What a run ran on: Python, packages, machine, source. Never imports torch itself."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from tabench.errors import SpecError

DEVICES: Final = "auto, cpu, cuda or cuda:1"
PACKAGES: Final = ("tabench", "torch", "torchvision", "segment-anything", "tensorly", "safetensors", "numpy",
                   "scipy", "pandas", "pydantic", "pillow")  # fmt: skip
# those that change numbers or speed
VARIABLES: Final = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "MKL_CBWR", "CUDA_VISIBLE_DEVICES",
                    "CUBLAS_WORKSPACE_CONFIG", "NVIDIA_TF32_OVERRIDE", "PYTORCH_ALLOC_CONF",
                    "PYTORCH_CUDA_ALLOC_CONF", "PYTHONHASHSEED")  # fmt: skip


def capture() -> dict[str, Any]:
    """The environment as JSON values, without host name, user or paths.

    `cores` are those usable by this process; `git` is None outside a checkout, `torch` unless it is imported.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": _cpu(),
        "cores": usable_cores(),
        "packages": {name: held for name in PACKAGES if (held := version(name)) is not None},
        "variables": {name: os.environ[name] for name in VARIABLES if name in os.environ},
        "git": _git(),
        "torch": _torch(),
    }


def check_device(name: str) -> str:
    """A device's name as it is, if it is one that cells run on. No torch: a wrong one is told at once.

    Raises SpecError: it is another one. torch has more, which nothing here was ever tried on.
    """
    if not re.fullmatch(r"auto|cpu|cuda(:\d+)?", name):
        hint = f"use {DEVICES}; other devices of torch (mps, xpu, ...) are not supported"
        raise SpecError(f"cells do not run on a device '{name}'", where="--device", hint=hint)
    return name


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def version(distribution: str) -> str | None:
    """Version of an installed distribution; None where there is none of this name."""
    try:
        return metadata.version(distribution)
    except (metadata.PackageNotFoundError, ValueError):
        return None


def usable_cores() -> int:
    """CPU cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _git() -> dict[str, Any] | None:
    """Commit of the checkout this package is imported from; an installed copy has none."""
    root = Path(__file__).resolve().parents[2]
    if not (root / ".git").exists():
        return None
    try:
        commit, status = (
            subprocess.run(
                ["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=10, check=True
            ).stdout
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--untracked-files=no"])
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.strip(), "dirty": bool(status.strip())}


def _torch() -> dict[str, Any] | None:
    torch: Any = sys.modules.get("torch")
    if torch is None:
        return None
    cuda = bool(torch.cuda.is_available())
    return {
        "version": str(torch.__version__),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else [],
        "threads": int(torch.get_num_threads()),
        "deterministic": bool(torch.are_deterministic_algorithms_enabled()),
    }
