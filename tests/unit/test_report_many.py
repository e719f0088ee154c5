"""A report of very many runs or rows: what the page leaves out is in a file, and no link leads nowhere."""

from __future__ import annotations

import csv
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import report_fixtures as made

from tabench.report.figures import rank as rank_figure
from tabench.report.pages import content as content_module
from tabench.report.pages.content import Content
from tabench.report.pages.page import page
from tabench.report.pages.site import render
from tabench.report.records import factors, wording
from tabench.report.records.reading import listed_of, read_results
from tabench.report.tables import chosen
from tabench.report.tables.results import results_table

METHODS, SEEDS, LIMIT = ("ta-lora", "lora-stl", "full-stl", "frozen"), tuple(range(6)), 8


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """24 runs, of which one failed."""
    home = made.write_results(tmp_path, seeds=SEEDS, methods=METHODS, pictures=False)
    bad = home / made.cell_id("frozen", 5)
    (bad / "record.json").unlink()
    made.write(bad / "failure.json", {"kind": "data", "message": "no image"})
    return home


def test_of_many_the_failed_and_the_lowest_seeds_of_each_row_are_listed(folder: Path) -> None:
    found = listed_of(read_results(folder.parent, "nyuv2").cells, LIMIT)
    names = [(cell.method, cell.seed) for cell in found]
    assert len(names) == LIMIT
    assert ("frozen", 5) in names
    assert {(method, 0) for method in METHODS} <= set(names)
    assert {seed for method, seed in names if (method, seed) != ("frozen", 5)} == {0, 1}


def test_open_runs_do_not_push_finished_ones_out(folder: Path) -> None:
    cells = read_results(folder.parent, "nyuv2").cells
    waiting = [replace(cell, id=f"w{n}", state="pending", record={}) for n, cell in enumerate(cells)]
    found = listed_of([*waiting, *cells], LIMIT)
    assert len(found) == LIMIT
    assert sum(bool(cell.record) for cell in found) == LIMIT // 2
    assert [cell.state for cell in found].count("failed") == 1, "the failed one comes before the waiting ones"


def test_pages_are_bounded_and_a_file_names_all_runs(folder: Path, tmp_path: Path) -> None:
    for path in folder.glob("*/record.json"):
        made.write(path, json.loads(path.read_text()) | {"curves": {"train": [], "eval": []}})
    out = tmp_path / "out"
    render(tmp_path, "nyuv2", out)
    assert len(list((out / "runs").glob("*.html"))) == 24
    assert not (out / "tables" / "runs.csv").exists()
    written = render(tmp_path, "nyuv2", out, run_pages=LIMIT)
    pages = {path.name for path in (out / "runs").glob("*.html")}
    assert len(pages) == LIMIT, "those of an earlier rendering are gone"
    html = (out / "index.html").read_text(encoding="utf-8")
    assert "8 of the 24 runs are listed here" in html
    texts = [html, *((out / "runs" / name).read_text(encoding="utf-8") for name in sorted(pages))]
    for text in texts:
        links = set(re.findall(r'href="(?:runs/)?([0-9a-f]{16}\.html)"', text))
        assert links <= pages
    assert out / "tables" / "runs.csv" in written
    rows = list(csv.DictReader((out / "tables" / "runs.csv").read_text().splitlines()))
    assert {row["run"] for row in rows} == {made.cell_id(m, s) for m in METHODS for s in SEEDS}
    assert [row["failure"] for row in rows if row["state"] == "failed"] == ["data"]


def test_a_page_and_a_figure_show_the_baselines_and_the_best_rows(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = read_results(folder.parent, "nyuv2")
    table = results_table(results, "paper")
    assert chosen.choose(results, table, 4).sentence == ""
    assert chosen.choose(results, table, 4).table(table) is table
    found = chosen.choose(results, table, 3)
    assert found.rows == ["ta-lora", "lora-stl", "full-stl"]  # two baselines, and the best by Delta_b
    assert found.sentence == (
        " 3 of 4 rows are shown: what the experiment compares with, and the best by Δ_b vs LoRA-STL."
    )
    assert found.results(results).methods == found.rows
    monkeypatch.setattr(content_module, "PAGE_ROWS", 3)
    html = page(Content(results))
    assert "3 of 4 rows are shown" in html
    assert "tables/table1.csv has all" in html
    assert html.count('<th scope="row" class="name" data-value="3">Full fine-tuning STL</th>') >= 2
    assert 'data-value="4">Frozen encoder</th>' not in html.partition('<section id="runs">')[0]


def test_places_of_very_many_comparisons_are_discs(folder: Path) -> None:
    found = rank_figure.read_places(read_results(folder.parent, "nyuv2"), "paper")
    assert found is not None
    assert not found.crowded
    many = replace(found, comparisons=found.comparisons * 20)
    assert many.crowded
    results = read_results(folder.parent, "nyuv2")
    assert "area is the share" in rank_figure.caption(results, many, "paper")
    sizes = [c.get_sizes() for c in rank_figure.draw_places(results, many).axes[0].collections]
    assert all(len(area) == 1 for area in sizes)


def test_of_very_many_analyses_the_lowest_seeds_are_read(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = json.dumps(
        {"analysis_version": 1, "kind": "tucker", "tasks": [], "layers": [],
         "mean": {"rows": None, "updates": None}}
    )  # fmt: skip
    for method in ("ta-lora", "lora-stl"):
        for seed in SEEDS:
            (folder / made.cell_id(method, seed) / "factors.json").write_text(whole)
    monkeypatch.setattr(factors, "ANALYSED", 12)
    assert [part.unread for part in factors.read_factors(read_results(folder.parent, "nyuv2"))] == [0, 0]
    monkeypatch.setattr(factors, "ANALYSED", 7)
    found = factors.read_factors(read_results(folder.parent, "nyuv2"))
    assert [(part.seeds, len(part.files), part.unread) for part in found] == [([0, 1, 2], 3, 3)] * 2


def test_a_sentence_names_few_seeds_and_counts_many() -> None:
    assert wording.seed_text([0, 1, 2]) == "0, 1 and 2"
    assert wording.seed_text(list(range(30))) == "30 of them, 0 to 29"
