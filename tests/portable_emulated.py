"""The pinned digests of portable numerics, and those of each operation, on emulated AMD and Intel processors.

    python tests/portable_emulated.py [METHOD ...]

Takes qemu-user (`nox -s portable` installs it) and about twenty minutes for the two default methods. What
starts from a processor's approximate root does not show here, since qemu computes that alike for all of them:
it would differ from the real processor, whose digests are among those compared.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

from tabench.provenance.portable import VARIABLES, obstacle

TESTS = Path(__file__).parent
PROCESSORS = {
    "AMD": "EPYC-Rome",
    "Intel": "Haswell,-hle,-rtm,-pcid,-x2apic,-tsc-deadline,-invpcid,-spec-ctrl",  # what qemu cannot emulate
}


def start(names: list[str], processor: str = "") -> subprocess.Popen[str]:
    """Compute the digests, on a processor of that name or on the one at hand."""
    # an emulated process cannot start itself anew, and knows no virtual environment
    environment = {**os.environ, **VARIABLES}
    environment["PYTHONPATH"] = os.pathsep.join([sysconfig.get_path("purelib"), str(TESTS.parent)])
    emulated = ["nice", "qemu-x86_64", "-cpu", processor] if processor else []
    words = [*emulated, os.path.realpath(sys.executable), str(TESTS / "portable_steps.py"), *names]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What it printed."""
    out, err = process.communicate()
    if process.returncode:
        raise SystemExit(err)
    return dict(json.loads(out))


def differing(found: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """The names whose digests differ, as "part name", in their order."""
    parts = [(part, name) for part in expected if part in found for name in found[part]]
    return [f"{part} {name}" for part, name in parts if found[part][name] != expected[part].get(name)]


def main(names: list[str]) -> int:
    """Compare them; 1 if any differs."""
    if why := obstacle():
        print(f"skipped: no portable numerics here: {why}")  # noqa: T201
        return 0
    running = {f"emulated {vendor}": start(names, model) for vendor, model in PROCESSORS.items()}
    real = result(start(names))
    pinned = json.loads((TESTS / "golden" / "portable.json").read_text(encoding="utf-8"))
    wrong = {"this processor": differing(real, pinned)}
    wrong |= {who: differing(result(process), {**pinned, **real}) for who, process in running.items()}
    for who, names_there in wrong.items():
        equal = f"all of {sum(map(len, real.values()))} digests are equal"
        print(f"{who}: {'different: ' + ', '.join(names_there) if names_there else equal}")  # noqa: T201
    return int(any(wrong.values()))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or ["ta-lora", "full-hps"]))
