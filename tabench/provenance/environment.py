"""What a run ran on: Python, packages, machine, source. Never imports torch itself."""

from __future__ import annotations

import contextlib
import ctypes
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
                    "PYTORCH_CUDA_ALLOC_CONF", "PYTHONHASHSEED", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA",
                    "NPY_ENABLE_CPU_FEATURES", "NPY_DISABLE_CPU_FEATURES", "OPENBLAS_CORETYPE",
                    "GLIBC_TUNABLES")  # fmt: skip
CODE_FLAGS: Final = re.compile(r"sse4|avx|fma|f16c|bmi|amx")  # of a processor: what libraries choose code by
# in what torch says of its build
_BUILT_WITH: Final = {"mkl": r"Math Kernel Library Version (.+?) for", "onednn": r"MKL-DNN v(\S+)"}


def capture() -> dict[str, Any]:
    """The environment as JSON values, without host name, user or paths.

    `cores` are those usable by this process; `git` is None outside a checkout, `torch` unless it is imported.
    """
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": processor().get("model name") or platform.processor() or platform.machine(),
        "cpu_vendor": processor().get("vendor_id", ""),
        "cpu_flags": sorted(filter(CODE_FLAGS.match, processor().get("flags", "").split())),
        "libm": " ".join(platform.libc_ver()),
        "numpy_blas": _numpy_blas(),
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


def processor() -> dict[str, str]:
    """What Linux says of the first processor; empty elsewhere."""
    try:
        first = Path("/proc/cpuinfo").read_text(encoding="utf-8").partition("\n\n")[0]
    except OSError:
        return {}
    return {
        key.strip(): value.strip() for key, _, value in (line.partition(":") for line in first.splitlines())
    }


def _numpy_blas() -> str:
    """The OpenBLAS in NumPy's own wheel and the processor whose code it runs; "" where there is another."""
    numpy: Any = sys.modules.get("numpy")
    with contextlib.suppress(AttributeError, OSError, StopIteration):
        library = next(Path(numpy.__file__).parents[1].glob("numpy.libs/*openblas*"))
        told = ctypes.CDLL(str(library)).scipy_openblas_get_config64_
        told.restype = ctypes.c_char_p
        return str(told().decode())
    return ""


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
    built = str(torch.__config__.show())
    return {
        "version": str(torch.__version__),
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version() if cuda else None,
        "devices": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else [],
        "threads": int(torch.get_num_threads()),
        "capability": torch.backends.cpu.get_cpu_capability(),
        **{name: found[1] for name, pattern in _BUILT_WITH.items() if (found := re.search(pattern, built))},
        "deterministic": bool(torch.are_deterministic_algorithms_enabled()),
    }
