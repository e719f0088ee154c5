"""The overview and the paper: every experiment, what state it is in, and LaTeX that compiles."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import report_fixtures as made

from tabench.errors import StoreError
from tabench.report.pages.overview import render_overview
from tabench.report.pages.site import render
from tabench.report.tables.latex import escape_latex

EVIL = '"><script>alert(1)</script> $\\input{x}$ & 5%'


def results(root: Path, name: str, **changes: object) -> None:
    """A small experiment; without curves, whose figures take the most time."""
    folder = made.write_results(root, name, seeds=(0,), methods=("ta-lora", "lora-stl"), pictures=False)
    for path in folder.glob("*/record.json"):
        made.write(path, json.loads(path.read_text()) | {"curves": {"train": [], "eval": []}, "pictures": []})
    made.write(folder / "experiment.json", json.loads((folder / "experiment.json").read_text()) | changes)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rendered experiments, one waiting."""
    root = tmp_path_factory.mktemp("site")
    results(root / "results", "nyuv2")
    results(root / "results", "cityscapes", title=EVIL, table="Table 2")
    results(root / "results", "ranks", title="Ranks & more", table="Table 4")
    for name in ("nyuv2", "cityscapes"):
        render(root / "results", name, root / "reports" / name, overview=True)
    render_overview(root / "results", root / "reports")
    return root


def test_every_experiment_is_listed_with_its_state_and_warning(site: Path) -> None:
    html = (site / "reports" / "index.html").read_text(encoding="utf-8")
    assert html.count('<article class="experiment"') == 2
    assert html.index("nyuv2/index.html") < html.index("cityscapes/index.html")  # by their tables
    assert html.count("2 of 2 runs done") == 3
    assert html.count("not the paper&#39;s numbers. They show") == 2
    assert "Ranks &amp; more (2 of 2 runs done)" in html
    assert "TA-LoRA (Tucker), Δ<sub>b</sub> +" in html
    for section in ("cost", "sure", "delta-b", "runs"):
        assert f'href="nyuv2/index.html#{section}"' in html
    assert html.count("<script>") == 1


def test_pages_lead_back_to_the_overview(site: Path) -> None:
    home = site / "reports" / "nyuv2"
    assert 'href="../index.html"' in (home / "index.html").read_text(encoding="utf-8")
    run = home / "runs" / f"{made.cell_id('ta-lora', 0)}.html"
    assert 'href="../../index.html"' in run.read_text(encoding="utf-8")


def test_the_paper_reads_every_table_and_figure(site: Path) -> None:
    tex = (site / "reports" / "paper" / "paper.tex").read_text(encoding="utf-8")
    for name in ("nyuv2", "cityscapes"):
        files = {path.stem for path in (site / "reports" / name / "tables").glob("*.tex")} - {"preview"}
        assert len(files) >= 4
        assert {f for f in files if f"../{name}/tables/{f}}}" in tex} == files
    assert EVIL not in tex
    assert escape_latex(EVIL) in tex


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_the_paper_compiles_with_unique_labels(site: Path) -> None:
    for _ in range(2):  # the second time labels are known
        done = subprocess.run(
            ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "paper.tex"],
            cwd=site / "reports" / "paper", capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-2000:]
    assert "multiply defined" not in done.stdout
    assert "Overfull \\hbox" not in done.stdout


def test_runs_that_finished_since_are_counted(tmp_path: Path) -> None:
    results(tmp_path / "r", "nyuv2")
    late = tmp_path / "r" / "nyuv2" / made.cell_id("lora-stl", 0) / "record.json"
    text = late.read_text()
    late.unlink()
    render(tmp_path / "r", "nyuv2", tmp_path / "reports" / "nyuv2", overview=True)
    late.write_text(text)
    render_overview(tmp_path / "r", tmp_path / "reports")
    assert (
        "1 of 2 runs done, 1 pending; 1 more finished since"
        in (tmp_path / "reports" / "index.html").read_text()
    )


def test_a_damaged_summary_is_named(tmp_path: Path) -> None:
    results(tmp_path / "r", "nyuv2")
    made.write(tmp_path / "reports" / "nyuv2" / "summary.json", {"name": 3})
    with pytest.raises(StoreError, match=r"(?s)summary\.json.*render the experiment again"):
        render_overview(tmp_path / "r", tmp_path / "reports")


def test_nothing_run_yet_is_an_empty_overview(tmp_path: Path) -> None:
    render_overview(tmp_path / "none", tmp_path / "reports")
    assert "No experiment has been run yet." in (tmp_path / "reports" / "index.html").read_text()


def test_the_benchmark_is_linked_where_it_was_rendered(tmp_path: Path) -> None:
    page, _ = render_overview(tmp_path / "results", tmp_path / "reports")
    assert "bench/index.html" not in page.read_text()
    (tmp_path / "reports" / "bench").mkdir()
    (tmp_path / "reports" / "bench" / "index.html").touch()
    page, _ = render_overview(tmp_path / "results", tmp_path / "reports")
    assert 'href="bench/index.html"' in page.read_text()
