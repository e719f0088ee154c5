"""Switches that make two runs of a cell equal, and what stands in the way. Imports torch when called."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass
from typing import Literal

_WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"
_WORKSPACES = (":4096:8", ":16:8")  # the two that cuBLAS documents as deterministic


@dataclass(frozen=True)
class Finding:
    """One line of ``tabench doctor``.

    Attributes:
        level: "ok", "note" (nothing to do) or "problem".
        message: What was found.
        hint: What to do about a problem.
    """

    level: Literal["ok", "note", "problem"]
    message: str
    hint: str = ""


def set_determinism(seed: int, threads: int = 0) -> None:
    """Seed all generators and allow only deterministic, full-precision algorithms.

    Call it before CUDA is first used: cuBLAS reads its workspace setting once.

    Args:
        seed: Seed of random, numpy and torch.
        threads: CPU threads of torch; 0 leaves them. Sums depend on their number.
    """
    import numpy as np
    import torch

    os.environ.setdefault(_WORKSPACE, _WORKSPACES[0])
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    if threads:
        torch.set_num_threads(threads)


def findings() -> list[Finding]:
    """What could make two runs differ on this machine, for ``tabench doctor``."""
    import torch

    from tabench.provenance.environment import usable_cores

    found: list[Finding] = []
    cores, threads = usable_cores(), torch.get_num_threads()
    found.append(
        Finding("ok", f"{threads} torch threads on {cores} usable cores")
        if threads <= cores
        else Finding("problem", f"{threads} torch threads on {cores} cores", f"set OMP_NUM_THREADS={cores}")
    )
    found.append(
        Finding("note", "equal numbers need an equal thread count: it is kept in run.json as `threads`")
    )
    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))
        found.append(Finding("ok", f"CUDA {torch.version.cuda}: {names}"))
    else:
        found.append(Finding("note", "no CUDA device: everything runs on the CPU"))
    workspace = os.environ.get(_WORKSPACE)
    if workspace is None or workspace in _WORKSPACES:
        found.append(Finding("ok", f"{_WORKSPACE} is {workspace or f'free: runs set {_WORKSPACES[0]}'}"))
    else:
        found.append(
            Finding(
                "problem",
                f"{_WORKSPACE}={workspace} makes cuBLAS differ from run to run",
                f"unset it or use {_WORKSPACES[0]}",
            )
        )
    if os.environ.get("NVIDIA_TF32_OVERRIDE") == "1":
        found.append(
            Finding(
                "problem", "NVIDIA_TF32_OVERRIDE=1 forces TF32 into fp32 runs", "unset NVIDIA_TF32_OVERRIDE"
            )
        )
    return found
