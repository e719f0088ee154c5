"""What an artifact says of its results, and the pins that its reports need."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import report_fixtures as made
from packaging.utils import canonicalize_name

from tabench.artifact.contents import REPORT_PACKAGES, cut_lock
from tabench.artifact.facts import ExperimentFacts, packed_claims
from tabench.artifact.pages import pages
from tabench.errors import StoreError

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "experiments" / "nyuv2.toml"


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where experiments/published/claims.toml is


@pytest.mark.parametrize(
    ("synthetic", "reported", "line"),
    [
        (True, True, "[ ] nyuv2: no verdict: synthetic data; runs of a demo never get a verdict"),
        (False, True, "[x] nyuv2: reports/nyuv2 has the verdict on each published number"),
        (False, False, "[ ] nyuv2: no rendered report is packed"),
    ],
)
def test_a_demo_gets_no_verdict_and_that_is_said(
    synthetic: bool, reported: bool, line: str, tmp_path: Path
) -> None:
    folder = made.write_results(tmp_path, pictures=False)
    if not synthetic:
        made.as_if_real(folder)
    facts = ExperimentFacts(tmp_path, "nyuv2", SPEC, reported=reported)
    page = pages(frozenset(), "", 0, "", (facts,))["BADGES.md"]
    assert line in page.partition("## Results Reproduced")[2].partition("\n## ")[0]


def test_neighbours_that_a_claim_names_are_read_with_it(tmp_path: Path) -> None:
    for name in ("nyuv2", "cityscapes", "unnamed"):
        made.write_results(tmp_path, name=name, pictures=False)
    assert [runs.name for runs in packed_claims(tmp_path, ["nyuv2"])[1]] == ["cityscapes"]
    assert packed_claims(tmp_path, ["nyuv2", "cityscapes"])[1] == []


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
