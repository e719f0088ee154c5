"""What a device is asked beside speed: do its tests pass, does a cell repeat, is the demo the CPU's?

Each answers with "problems", which a command ends with, and with what it counted.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections import Counter
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import tabench
from tabench.bench.jobs import Job, Place
from tabench.cli.doctor import SHORT, repeats
from tabench.provenance.determinism import findings, forced_finding
from tabench.provenance.machine import build_finding
from tabench.report.records.reading import read_results
from tabench.report.records.reproduced import Reproduced, compared

ROOT = Path(tabench.__file__).parents[1]
SHOWN = 2000  # characters of what a command said, where it failed


def run_tests(job: Job, place: Place) -> dict[str, Any]:
    """The tests that need a GPU: "passed", "failed", "skipped", or "left_out": why they could not be run."""
    folder = ROOT / "tests" / "gpu"
    if not folder.is_dir() or find_spec("pytest") is None:
        return {"problems": [], "left_out": "the tests are not installed here: run it in a checkout"}
    with tempfile.TemporaryDirectory(prefix="tabench-") as home:
        told = Path(home) / "tests.xml"
        done = _run("pytest", "-q", "-m", "gpu", "-p", "no:cacheprovider", f"--junitxml={told}", str(folder))
        if not told.is_file():
            raise RuntimeError(f"pytest ended with code {done.returncode}: {done.stdout[-SHOWN:]}")
        cases = [(case, {part.tag for part in case}) for case in ElementTree.parse(told).iter("testcase")]
    kinds = {case: "failed" if tags & {"failure", "error"} else "skipped" if "skipped" in tags else "passed"
             for case, tags in cases}  # fmt: skip
    count = Counter(kinds.values())
    failed = [f"{case.get('name')} failed" for case, kind in kinds.items() if kind == "failed"]
    if done.returncode and not failed:
        failed = [f"pytest ended with code {done.returncode}"]
    return {"problems": failed, **{kind: count[kind] for kind in ("passed", "failed", "skipped")}}


def repeat(job: Job, place: Place) -> dict[str, Any]:
    """`tabench doctor --determinism` but for folders: "findings", level and message, of the trained cells."""
    found = repeats(place.device)
    around = [build_finding(), *findings(), forced_finding()]
    return {
        "problems": [finding.message for finding in (*found, *around) if finding.level == "problem"],
        "findings": [[finding.level, finding.message] for finding in found],
    }


def run_demo(job: Job, place: Place) -> dict[str, Any]:
    """The NYUv2 demo's first seed of every method on the device, against the shipped records of a CPU.

    Returns "methods": by method the "numbers" compared, how many are "identical", and the "largest"
    differences by metric; or "left_out".
    """
    shipped = ROOT / "results" / "reference" / "nyuv2"
    if not shipped.is_dir():
        return {"problems": [], "left_out": "the shipped records are not here: run it in a checkout"}
    short = [word for change in SHORT for word in ("--set", change)] + ["--select", f"method={job.method}"]
    with tempfile.TemporaryDirectory(prefix="tabench-") as home:
        words = ["tabench", "run", "nyuv2", "--profile", "demo", "--select", "seed=0"]
        words += ["--results", home, "--device", place.device, *(short if place.rehearsal else [])]
        done = _run(*words)
        if done.returncode:
            raise RuntimeError(f"the demo ended with code {done.returncode}: {done.stderr[-SHOWN:]}")
        found = compared(read_results(Path(home), "nyuv2"))  # with the shipped records
    return {"problems": [], "methods": _methods(found) if found is not None else {}}


def _methods(found: Reproduced) -> dict[str, dict[str, Any]]:
    largest: dict[str, list[str]] = {}
    for line in found.lines:
        if line.largest:
            largest.setdefault(line.method, []).append(f"{line.metric} {line.largest:.3g}")
    return {
        row.method: {
            "numbers": row.numbers,
            "identical": row.identical,
            "largest": ", ".join(largest.get(row.method, [])) or "none",
        }
        for row in found.runs
        if row.cells
    }


def _run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)
