from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
import report_fixtures as made

from tabench.report.pages.content import Content
from tabench.report.pages.page import page
from tabench.report.records import wording
from tabench.report.records.published import Published, read_published
from tabench.report.records.reading import Results, read_results
from tabench.report.tables import latex, text
from tabench.report.tables.cost import cost_tables
from tabench.report.tables.results import results_table
from tabench.report.tables.sureness import contrasts
from tabench.report.tables.table import Column, Table, words
from tabench.report.tables.verdicts import verdicts
from tabench.text import bytes_text

PUBLISHED = Path(__file__).parents[2] / "experiments" / "published" / "nyuv2.csv"
HEAD = "paper,table,dataset,setting,method,metric,value,tolerance,evidence,source\n"
COST = {
    "train_flops": 2_373_775_872, "inference_flops": 1_032_869_376, "stored": 553_680,
    "weights_bytes": 2_214_720,
    "models": 1, "latency_s": 0.0828, "latency_spread_s": 0.0042, "latency_repeats": 5,
    "train_images_per_s": 12.5, "eval_images_per_s": 30.0, "energy_j": None, "measuring_s": 0.6,
    "problems": [], "pace": {},
}  # fmt: skip


def results_of(root: Path, *, real: bool, profile: str = "paper", costs: Any = None) -> Results:
    folder = made.write_results(root, pictures=False)
    for path in folder.glob("*/record.json"):
        record = json.loads(path.read_text())
        if real:
            record["data"] |= {"name": "nyuv2", "title": "NYUv2", "synthetic": False}
            record["backbone"]["name"] = "vit_l"
        path.write_text(json.dumps(record))
        run = path.with_name("run.json")
        if costs is not None:
            run.write_text(json.dumps(json.loads(run.read_text()) | {"cost": costs}))
    plan = json.loads((folder / "experiment.json").read_text())
    (folder / "experiment.json").write_text(json.dumps(plan | {"profile": profile}))
    return read_results(root, "nyuv2")


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return results_of(tmp_path_factory.mktemp("demo"), real=False, profile="demo", costs=COST)


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Results:
    return results_of(tmp_path_factory.mktemp("paper"), real=True)


def published(results: Results, tmp_path: Path, *lines: str) -> Published:
    path = tmp_path / "numbers.csv"
    path.write_text(HEAD + "\n".join(lines) + "\n", encoding="utf-8")
    found = read_published(results, path)
    assert found is not None
    return found


def test_every_published_cell_gets_its_verdict(paper: Results, tmp_path: Path) -> None:
    table = results_table(paper, "paper")
    mean = {m: table.entry(m, "segmentation.miou").value or 0 for m in made.METHODS}
    half = table.entry("lora-hps", "segmentation.miou").half or 0
    found = verdicts(
        paper,
        published(
            paper,
            tmp_path,
            f"A,T1,nyuv2,s,ToRA,mIoU,{mean['ta-lora'] + 0.2:.4f},0.25,primary,x",
            f"A,T1,nyuv2,s,LoRA-HPS,mIoU,{mean['lora-hps'] + half / 2:.4f},0,primary,x",
            f"A,T1,nyuv2,s,LoRA-STL,mIoU,{mean['lora-stl'] + 20:.4f},,secondary,x",
            "A,T1,nyuv2,s,Cross-stitch,mIoU,50,,primary,another model",
        ),
    )
    assert found is not None
    words = {row.method: row.word for row in found.rows}
    assert words["ta-lora"] == "match"
    assert words["lora-hps"] == "within interval"
    assert words["lora-stl"] == "off by -20.00"
    assert words["frozen"] == "not known"
    assert {row.method: row.tolerance for row in found.rows}["lora-stl"].endswith("(default)")
    assert found.obstacle == ""


def test_a_demo_never_gets_a_verdict_and_the_column_says_why(demo: Results) -> None:
    found = verdicts(demo, read_published(demo, PUBLISHED))
    assert found is not None
    assert {row.word for row in found.rows} == {"no verdict: synthetic data", "not known"}


@pytest.mark.parametrize(
    ("real", "profile", "why"),
    [(False, "paper", "synthetic data"), (True, "quick", "profile “quick”, not the paper's")],
)
def test_what_keeps_a_verdict_away(tmp_path: Path, real: bool, profile: str, why: str) -> None:
    results = results_of(tmp_path, real=real, profile=profile)
    found = verdicts(results, read_published(results, PUBLISHED))
    assert found is not None
    assert found.obstacle == why


def test_another_datasets_values_are_never_compared(paper: Results, tmp_path: Path) -> None:
    found = verdicts(paper, published(paper, tmp_path, "A,T1,cityscapes,s,ToRA,mIoU,70,,primary,x"))
    assert found is not None
    assert {row.word for row in found.rows} == {"not known"}


def test_nothing_published_is_no_table(paper: Results, tmp_path: Path) -> None:
    assert verdicts(paper, None) is None
    assert verdicts(paper, published(paper, tmp_path, "A,T1,nyuv2,s,Cross-stitch,mIoU,50,,primary,x")) is None


def test_the_results_table_carries_the_verdict_too(paper: Results) -> None:
    table = results_table(paper, "paper", read_published(paper, PUBLISHED))
    assert table.entry("ta-lora", "verdict.segmentation.miou").shown.startswith("off by")
    assert table.entry("frozen", "verdict.segmentation.miou").shown == "not known"


def test_paired_tests_cover_every_metric_with_values_for_images(demo: Results) -> None:
    found = contrasts(demo)
    assert found is not None
    assert found.reference == "ta-lora"
    assert [metric.id for metric in found.metrics] == [f"{task}.{key}" for task, key, *_ in made.METRICS]
    assert len(found.rows) == len(made.METRICS) * (len(made.METHODS) - 1)
    frozen = next(row for row in found.rows if row.method == "frozen")
    assert (frozen.comparison.n, frozen.reading, frozen.comparison.effect) == (16, "worse", -1.0)
    for row in found.rows:
        assert row.p_wilcoxon >= row.comparison.p_value
        assert row.p_bootstrap >= row.comparison.p_bootstrap
        told = max(row.p_wilcoxon, row.p_bootstrap) < 0.05
        assert told == (row.reading != "not told apart")


def test_a_result_in_a_metric_where_less_is_better_is_read_the_right_way(demo: Results) -> None:
    found = contrasts(demo)
    assert found is not None
    for row in found.rows:
        if row.method == "frozen":
            assert row.reading == "worse"
            assert (row.comparison.difference > 0) == (row.metric.better == "lower")


def test_costs_are_means_over_runs_and_older_runs_have_holes(demo: Results, paper: Results) -> None:
    measured, old = (
        {c.title: e for t in cost_tables(r) for c, e in zip(t.columns, t.rows[0], strict=True)}
        for r in (demo, paper)
    )
    assert measured["Training step"].text == "2.37 GFLOP"
    assert measured["Stored"].value == 553_680
    assert measured["Latency"].text == "82.8 ms (range 4.2 ms)"
    assert measured["Energy"].shown == "not reported by this machine"
    assert old["Wall time"].value == 121.0
    assert "Energy" not in old


@pytest.mark.parametrize("which", ["demo", "paper"])
def test_the_page_shows_them_with_and_without_measured_costs(
    which: str, request: pytest.FixtureRequest
) -> None:
    results = request.getfixturevalue(which)
    html = page(Content(results, read_published(results, PUBLISHED)))
    for name in ("claims", "verdicts", "cost", "sure"):
        assert f'<section id="{name}">' in html
    assert ("2.37 GFLOP" in html) == (which == "demo")
    assert ("older than the measuring" in html) == (which == "paper")


def test_every_table_prints_the_same_texts_in_every_format(demo: Results) -> None:
    tables = [table for table in Content(demo, read_published(demo, PUBLISHED)).sheets if not table.keys]
    names = ["parameters", "cost", "verdicts", "claims", "paired_matrix", "paired_tests"]
    assert [table.name for table in tables] == names
    for table in tables:
        assert table.warning == "Synthetic scenes, not the paper's numbers."
        lines = [line for line in text.csv(table).splitlines(keepends=True) if not line.startswith("# ")]
        head, *rows = csv.reader(io.StringIO("".join(lines)))
        assert head == [column.whole for column in table.columns]
        assert rows == [[entry.text for entry in row] for row in table.rows]
        assert text.markdown(table).count("\n| ") == len(table.rows) + 2
        assert latex.latex(table).count(r" \\") >= len(table.rows) + 1


def test_a_table_is_inert_in_latex_and_markdown() -> None:
    column, row = Column("a_b", words=True, width=3), [words("-1.5 $x$ | <script>")]
    table = Table("t", "T", r"50% \input{x}", [column], [row], ["note #1"])
    tex, marked = latex.latex(table), text.markdown(table)
    assert r"\input{x}" not in tex
    assert r"$-$1.5 \$x\$" in tex
    assert r"\|" in marked
    assert "<script>" not in marked.replace(r"\<", "")


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (wording.flops(2_373_775_872), "2.37 GFLOP"),
        (wording.flops(12), "12 FLOP"),
        (wording.milliseconds(0.0828), "82.8 ms"),
        (wording.milliseconds(3.2145), "3.21 s"),
        (bytes_text(2_214_720), "2.2 MB"),
        (wording.energy(840), "840 J"),
        (wording.energy(12_300), "12.3 kJ"),
        (wording.energy(4_320_000), "1.2 kWh"),
    ],
)
def test_quantities_as_shown(shown: str, expected: str) -> None:
    assert shown == expected
