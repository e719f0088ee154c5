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
from tabench.artifact.facts import claimed, experiment_facts
from tabench.artifact.pages import Archive, badge_page
from tabench.errors import StoreError

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "experiments" / "nyuv2.toml"


@pytest.fixture(autouse=True)
def _at_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # where experiments/published/claims.toml is


def reproduced(results: Path, spec: Path = SPEC) -> list[tuple[list[str], list[str]]]:
    """Evidence and gaps of each point of "Results Reproduced"."""
    facts = experiment_facts(results, "nyuv2", spec, reported=False)
    claims = claimed(results, ["nyuv2"])
    beside = tuple(runs.name for runs in claims.beside)
    page = badge_page(Archive(frozenset(), "", 0, "", (facts,), beside, claims.assessed))
    _, *points = page.partition("## Results Reproduced")[2].partition("\n## ")[0].split("\n- **")
    texts = [re.sub(r"\\(.)", r"\1", point) for point in points]
    return [(re.findall(r"- \[x\] (.*)", text), re.findall(r"- \[ \] (.*)", text)) for text in texts]


def test_a_demo_gets_no_verdict_and_that_is_said(tmp_path: Path) -> None:
    made.write_results(tmp_path, pictures=False)
    *_, numbers, claims = reproduced(tmp_path)
    never = "runs of a demo never get a verdict against the paper"
    assert numbers == ([], [f"nyuv2: no verdict: synthetic data; {never}"])
    evidence, lacks = claims
    assert [line.partition(".")[0] for line in evidence] == [
        "The adapter has O(dp + kq) parameters a layer: it does not grow with the number of tasks T, as one "
        "LoRA a task does"
    ], "counting is all that needs no data"
    assert all(" Undecided: " in line for line in lacks[:-1])
    assert any("synthetic data (nyuv2) says nothing about the claim itself" in line for line in lacks)
    assert never in lacks[-1]


def test_real_runs_are_judged_value_by_value_and_claim_by_claim(tmp_path: Path) -> None:
    made.as_if_real(made.write_results(tmp_path / "results", pictures=False))
    (tmp_path / "published").mkdir()
    head = "paper,table,dataset,setting,method,metric,value,evidence,source,tolerance"
    (tmp_path / "published" / "nyuv2.csv").write_text(
        f"{head}\nA,Table 1,nyuv2,13 classes,ToRA,mIoU,65,primary,B,30\n"
        "A,Table 1,nyuv2,13 classes,LoRA-STL,mIoU,1.5,primary,B,\n"
    )
    *_, ((match,), (off,)), claims = reproduced(tmp_path / "results", tmp_path / "nyuv2.toml")
    assert match == "nyuv2: ta-lora, segmentation.miou: match; published 65 (A, Table 1 (13 classes))"
    assert off.startswith("nyuv2: lora-stl, segmentation.miou: off by +")
    said = " ".join(claims[1])
    assert "supported on nyuv2; not run: cityscapes and pascal_context" in said
    assert "demo" not in said


def test_neighbours_that_a_claim_names_are_read_with_it(tmp_path: Path) -> None:
    made.write_results(tmp_path, pictures=False)
    made.write_results(tmp_path, name="cityscapes", pictures=False)
    made.write_results(tmp_path, name="unnamed", pictures=False)
    claims = claimed(tmp_path, ["nyuv2"])
    assert [runs.name for runs in claims.beside] == ["cityscapes"]
    assert claimed(tmp_path, ["nyuv2", "cityscapes"]).beside == []
    assert any("(nyuv2 and cityscapes)" in item.reason for item in claims.assessed)


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
