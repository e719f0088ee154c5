"""Portable numerics: the same bits on every x86-64 processor with AVX2, with the locked versions installed.

Each library chooses code by the processor it finds. Environment variables make these choices the same
everywhere, but are only read as the libraries load: a command that finds them unset starts itself anew with
them, once, and the processes that it starts inherit them. Every process reads back whether they took hold.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping
from typing import Final, Literal, NoReturn

from tabench.errors import SpecError
from tabench.provenance.environment import processor
from tabench.text import few

Numerics = Literal["native", "portable"]
MARK: Final = "TABENCH_NUMERICS"
VARIABLES: Final[Mapping[str, str]] = {
    MARK: "portable",
    "MKL_CBWR": "COMPATIBLE",  # of all its modes the only one that does not look at the vendor
    "ATEN_CPU_CAPABILITY": "avx2",
    "ONEDNN_MAX_CPU_ISA": "AVX2",
    "OPENBLAS_CORETYPE": "Haswell",  # the first processor with AVX2; its code runs on all that have it
    "NPY_ENABLE_CPU_FEATURES": "X86_V3",  # AVX2 and FMA, and nothing above
    # sums depend on how many threads share them
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "PYTHONHASHSEED": "0",  # the order of sets of texts
}
# would choose otherwise: code, precision, block sizes, and the C library's functions
_UNSET: Final = ("NPY_DISABLE_CPU_FEATURES", "MKL_ENABLE_INSTRUCTIONS", "ONEDNN_CPU_ISA_HINTS",
                 "ONEDNN_DEFAULT_FPMATH_MODE", "OPENBLAS_L2_SIZE", "GLIBC_TUNABLES")  # fmt: skip
_NEEDED: Final = {"avx2", "fma", "f16c", "bmi1", "bmi2", "movbe", "abm"}  # all that X86_V3 means


class NumericsError(SpecError):
    """A process whose libraries were not loaded for the numerics that are asked of it."""


def obstacle() -> str:
    """Why numbers cannot be portable on this machine; "" where they can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return f"this is {platform.system()} on {platform.machine()}"
    lacking = _NEEDED - set(processor().get("flags", "").split())
    return f"the processor lacks {', '.join(sorted(lacking))}" if lacking else ""


def check_numerics(wanted: Numerics) -> None:
    """Check that this process was started for these numerics.

    Raises:
        NumericsError: It was not; starting the command anew helps (see `start_anew`).
        SpecError: This machine cannot.
    """
    if wanted == "native":
        if MARK in os.environ:
            raise SpecError("this process was started for portable numerics", hint=f"unset {MARK}")
        return
    where = "train.numerics"
    if why := obstacle():
        hint = "portable numerics take Linux on an x86-64 processor with AVX2: --set train.numerics=native"
        raise SpecError(f"numbers cannot be portable here: {why}", where=where, hint=hint)
    wrong = [name for name in (*VARIABLES, *_UNSET) if os.environ.get(name) != VARIABLES.get(name)]
    if wrong:
        raise NumericsError(
            f"this process was not started for portable numerics: {few(wrong)} not set so",
            where=where,
            hint="start it as `tabench`, which sets these variables, and change none of them",
        )


def is_curable(error: Exception) -> bool:
    """Whether starting the command anew may help; it was not tried before."""
    return isinstance(error, NumericsError) and MARK not in os.environ


def start_anew() -> NoReturn:
    """Run this process' command again from its start, in its place, with the variables set."""
    kept = {name: value for name, value in os.environ.items() if name not in _UNSET}
    sys.stdout.flush()
    sys.stderr.flush()
    os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**kept, **VARIABLES})
