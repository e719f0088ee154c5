"""What BADGES.md says about published numbers and claims: a verdict on real runs only."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import report_fixtures as made

from tabench.artifact.facts import claimed, experiment_facts
from tabench.artifact.pages import Archive, badge_page

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
