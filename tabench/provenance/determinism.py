"""Switches that make two runs of a cell equal, and what stands in the way. Imports torch when called."""

from __future__ import annotations

import os
import random
from pathlib import Path

from tabench.provenance.environment import usable_cores
from tabench.provenance.machine import Finding

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_WORKSPACES = (":4096:8", ":16:8")  # the two that cuBLAS documents as deterministic


def set_determinism(seed: int, threads: int = 0, *, strict: bool = True) -> None:
    """Seed all generators and allow only full-precision and, if `strict`, deterministic algorithms.

    Call it before CUDA is first used: cuBLAS reads its workspace setting once. `threads` of the CPU are left
    as they are if 0; sums depend on their number.
    """
    import numpy as np
    import torch

    os.environ.setdefault(_WORKSPACE, _WORKSPACES[0])
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    # use_deterministic_algorithms(True) without loading torch's compiler, which takes seconds and is not used
    torch.set_deterministic_debug_mode("error" if strict else "default")
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    if threads:
        torch.set_num_threads(threads)


def findings() -> list[Finding]:
    """What could make two runs differ on this machine, for ``tabench doctor``."""
    import torch

    cores, threads = usable_cores(), torch.get_num_threads()
    workspace = os.environ.get(_WORKSPACE, _WORKSPACES[0])  # which runs set where it is free
    forced = os.environ.get("NVIDIA_TF32_OVERRIDE", "unset")
    hint = f"set OMP_NUM_THREADS={cores}"
    return [
        Finding.unless(threads > cores, f"{threads} torch threads on {cores} usable cores", hint),
        Finding("note", "equal numbers need an equal thread count: it is kept in run.json as `threads`"),
        _blas(),
        _cuda(),
        Finding.unless(
            workspace not in _WORKSPACES,
            f"{_WORKSPACE}={workspace}",
            f"cuBLAS differs from run to run: unset it or use {_WORKSPACES[0]}",
        ),
        Finding.unless(
            forced == "1",
            f"NVIDIA_TF32_OVERRIDE={forced}",
            "it forces TF32 into fp32 runs: unset it",
        ),
    ]


def forced_finding() -> Finding:
    """Whether the switches of `set_determinism` are in force, read back. Sets them."""
    import torch

    set_determinism(0)
    switches = {
        "deterministic algorithms": torch.are_deterministic_algorithms_enabled(),
        "only errors, no warnings": not torch.is_deterministic_algorithms_warn_only_enabled(),
        "unset memory is filled": bool(torch.empty(8).isnan().all()),
        "no cuDNN benchmark": not torch.backends.cudnn.benchmark,
        "no TF32 in cuDNN": not torch.backends.cudnn.allow_tf32,
        "no TF32 in matrix products": torch.get_float32_matmul_precision() == "highest",
    }
    off = [name for name, holds in switches.items() if not holds]
    hint = "another package changes torch's switches: import it after tabench, or not at all"
    text = f"not in force: {', '.join(off)}" if off else f"in force: {', '.join(switches)}"
    return Finding.unless(bool(off), text, hint)


def _blas() -> Finding:
    """Which library adds up: sums of others differ in the last digits."""
    import torch

    config = torch.__config__.show()
    name = config.partition("BLAS_INFO=")[2].partition(",")[0] or "unknown"
    usage = config.partition("CPU capability usage: ")[2].partition("\n")[0] or "unknown"
    return Finding("ok", f"BLAS: torch {name} with {usage}, MKL_CBWR={os.environ.get('MKL_CBWR', 'unset')}")


def _cuda() -> Finding:
    import torch

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        cudnn: object = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
        return Finding("ok", f"CUDA {torch.version.cuda}, cuDNN {cudnn}: {names}")
    if not Path("/proc/driver/nvidia/version").is_file():
        return Finding("note", "no CUDA device: everything runs on the CPU")
    why = f"NVIDIA's driver is there, but torch's build for CUDA {torch.version.cuda} finds no device"
    return Finding("problem", why, "install a CUDA build, update the driver, or unset CUDA_VISIBLE_DEVICES")
