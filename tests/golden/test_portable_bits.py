"""Portable numerics give the pinned bits, whatever x86-64 processor with AVX2 this is.

`nox -s portable` shows the same of emulated processors. After a wanted change of the data, a method or the
step: ``python tests/golden/test_portable_bits.py`` writes the digests again.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tabench.engine.portable import _KERNELS
from tabench.provenance.portable import obstacle

FILE = Path(__file__).parent / "portable.json"
SCRIPT = Path(__file__).parents[1] / "portable_steps.py"
# MKL's begin with the processor's approximate reciprocal root, which differs between vendors
APPROXIMATE = {"sqrt", "acos", "atan"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(obstacle()), reason=f"no portable numerics here: {obstacle()}"),
]


def computed() -> dict[str, Any]:
    """What a process of its own computes: the variables are read as torch and NumPy load."""
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def found() -> dict[str, Any]:
    return computed()


@pytest.mark.parametrize("part", ["pictures", "methods", "probes"])
def test_the_bits_are_as_pinned(found: dict[str, Any], part: str) -> None:
    pinned = json.loads(FILE.read_text(encoding="utf-8"))[part]
    assert len(pinned) == {"pictures": 3, "methods": 7, "probes": 6}[part]
    assert found[part] == pinned


def test_no_step_starts_from_an_approximate_root(found: dict[str, Any]) -> None:
    names = [name.removeprefix("aten.").removesuffix(".default") for name in found["operations"]]
    assert {"addmm", "bmm", "convolution_backward", "linalg_vector_norm"} <= set(names)
    mkls = [name for name in names if name.partition(".")[0].rstrip("_") in APPROXIMATE]
    assert not set(mkls) - _KERNELS.keys()  # whose kernels are replaced, as the probes of MKL show


if __name__ == "__main__":
    now = computed()
    del now["operations"]
    FILE.write_text(json.dumps(now, indent=2) + "\n", encoding="utf-8")
