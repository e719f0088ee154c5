"""The pins that a report needs, cut from the lock."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from tabench.artifact.contents import REPORT_PACKAGES, cut_lock
from tabench.errors import StoreError

ROOT = Path(__file__).parents[2]
LOCK = ROOT / "requirements.lock"
PIN = re.compile(r"^([a-z0-9-]+)==(\S+)", re.MULTILINE)
USED = """
import sys
import tabench.report.pages.site, tabench.artifact.contents
from tabench.cli import main
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def test_pins_are_the_locks_own_lines() -> None:
    text, lock = cut_lock(LOCK), LOCK.read_text()
    assert set(PIN.findall(text)) < set(PIN.findall(lock))
    for block in re.split(r"\n(?=\S)", text.strip()):
        assert block in lock
        assert "--hash=sha256:" in block


def test_nothing_heavy_is_pinned() -> None:
    names = {name for name, _ in PIN.findall(cut_lock(LOCK))}
    assert {canonicalize_name(name) for name in REPORT_PACKAGES} <= names
    assert not {n for n in names if n.startswith(("torch", "nvidia", "cuda", "triton", "pytest", "mypy"))}
    assert {"markupsafe", "pydantic-core", "python-dateutil"} <= names, "what the packages need is missing"


def test_all_that_a_report_imports_is_pinned() -> None:
    run = subprocess.run([sys.executable, "-c", USED], capture_output=True, text=True, check=True, cwd=ROOT)
    owners = packages_distributions()
    used = {canonicalize_name(d) for name in run.stdout.split() for d in owners.get(name, [])}
    pinned = {name for name, _ in PIN.findall(cut_lock(LOCK))}
    tools = {"tabench", "setuptools", "pip", "coverage", "editables"}  # of the environment, not of reports
    optional = {"pyarrow", "cloudpickle"}  # pandas takes them where they are; the tables are the same without
    assert used - tools - optional - pinned == set()
    assert "pandas" in used


def test_a_lock_that_lacks_a_package_or_holds_an_address_is_refused(tmp_path: Path) -> None:
    lock = tmp_path / "requirements.lock"
    lock.write_text("numpy==2.0 \\\n    --hash=sha256:00\n")
    with pytest.raises(StoreError, match="does not pin fonttools, jinja2"):
        cut_lock(lock)
    assert cut_lock(lock, ["numpy"]) == lock.read_text()
    lock.write_text("numpy==2.0 --index-url https://example.org\n")
    with pytest.raises(StoreError, match="holds an address"):
        cut_lock(lock, ["numpy"])
    with pytest.raises(StoreError, match="cannot be read"):
        cut_lock(tmp_path / "gone")
