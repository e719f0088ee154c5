"""What this process' libraries compute: for each of them, the digest of a few results.

Versions and settings say what a library should do; equal digests say that two processes do the same.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from typing import Any, Final

import numpy as np
import torch
from torch.nn import functional as F

from tabench.engine.portable import replace_kernels
from tabench.provenance.portable import Numerics, NumericsError, check_numerics

# with the locked versions, on processors of two vendors, real and emulated
PORTABLE: Final = {
    "torch": "aea3cbcdca6193a7",
    "mkl": "9df8c2cc0a2d877e",
    "onednn": "23886cea399af5e3",
    "numpy": "6e7a824f21f5bfea",
    "openblas": "b3c2847dc5d2e0ca",
}


def set_numerics(wanted: Numerics) -> None:
    """Make this process compute as is wanted, and read back whether it does.

    Raises:
        SpecError: The process was not started for it, or its libraries are not the proven ones.
    """
    check_numerics(wanted)
    if wanted == "native":
        return
    replace_kernels()
    found = {"capability": torch.backends.cpu.get_cpu_capability(), **probes()}
    proven = {"capability": "AVX2", **PORTABLE}
    wrong = [
        f"{name} ({found[name]} instead of {proven[name]})" for name in proven if found[name] != proven[name]
    ]
    if wrong:
        raise NumericsError(
            f"computes otherwise than portable numerics do: {', '.join(wrong)}",
            where="train.numerics",
            hint="install the locked versions, and let `tabench` load the libraries itself",
        )


def probes() -> dict[str, str]:
    """Library to digest. "libm" is the C library's, which does not come with this package's dependencies."""
    numbers = np.arange(-4000, 4000, dtype=np.float64).reshape(100, 80) * 7.0 % 13.0 / 13.0
    single = numbers.astype(np.float32)
    x = torch.from_numpy(single)
    images, kernels = x.reshape(1, 8, 40, 25), x[:72, :16].reshape(16, 8, 3, 3)
    long = single.reshape(8, 1000)  # more than one block
    functions = (math.exp, math.sin, math.tan, math.atan, math.acos, math.sqrt)
    results: dict[str, list[Any]] = {
        "torch": [x.tanh(), F.gelu(x), x.softmax(-1), x.sum(0), F.layer_norm(x, (80,)), x.atan2(x + 1)],
        "mkl": [
            *(x.exp(), (x + 0.1).log(), x.erf(), x.double().exp(), x.sin(), torch.linalg.qr(x[:, :9]).R),
            *(x.sqrt(), x.double().sqrt(), x.acos(), x.atan()),
        ],
        "onednn": [F.conv2d(images, kernels), F.conv2d(images, kernels, stride=2, padding=1)],
        "numpy": [np.exp(single), np.sin(single), np.log(single + 1), np.sqrt(numbers), single.sum(0)],
        "openblas": [long @ long.T, numbers.T @ numbers, single[:, :3] @ single[:3]],
        "libm": [
            *(np.exp(numbers), np.sin(numbers), numbers**2.2, np.arccos(numbers), np.hypot(numbers, 0.3)),
            *(np.array([function(value) for value in numbers[0]]) for function in functions),
        ],
    }
    return {name: _digest(found) for name, found in results.items()}


def _digest(results: Iterable[Any]) -> str:
    found = hashlib.sha256()
    for result in results:
        found.update(np.ascontiguousarray(result).tobytes())
    return found.hexdigest()[:16]
