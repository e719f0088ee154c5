"""Learned factors in the report: read with care, averaged right, shown only where they exist."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import report_analysis as beside
import report_fixtures as made

from tabench.errors import StoreError
from tabench.methods.analysis import analyse
from tabench.report.figures import paper_figures
from tabench.report.figures import similarity as similarity_figure
from tabench.report.figures import spectrum as spectrum_figure
from tabench.report.pages.content import Content
from tabench.report.pages.page import page, sections
from tabench.report.records.factors import MethodFactors, kept, read_factors
from tabench.report.records.reading import Results, read_results
from tabench.report.tables.factors import factor_table

SEEDS = (0, 1)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    root = tmp_path_factory.mktemp("results")
    beside.write_analysis(made.write_results(root, seeds=SEEDS), SEEDS)
    return read_results(root, "nyuv2")


@pytest.fixture(scope="module")
def factors(results: Results) -> dict[str, MethodFactors]:
    return {part.method: part for part in read_factors(results)}


def test_similarities_are_means_over_runs_then_layers(factors: dict[str, MethodFactors]) -> None:
    assert list(factors) == ["ta-lora", "ta-lora-cp", "lora-stl"]
    part = factors["ta-lora"]
    written = [beside.factors("ta-lora", seed) for seed in SEEDS]
    for index, matrix in enumerate(part.similarity("rows")):
        expected = np.mean([file["layers"][index]["rows"] for file in written], axis=0)
        assert matrix == pytest.approx(expected)
    overall = np.mean([layer["rows"] for file in written for layer in file["layers"]], axis=0)
    panel = similarity_figure.Panel("", part.tasks, part.similarity("rows"))
    assert panel.mean == pytest.approx(overall)


def test_layers_without_an_update_leave_holes_not_zeros(results: Results) -> None:
    whole = read_factors(results)[0]
    file = beside.factors("ta-lora", 0)
    empty = {**file["layers"][0], "updates": [[None] * 3] * 3, "mode1": None, "mode2": None, "mode3": None}
    broken = whole.files[0].model_validate({**file, "layers": [empty, file["layers"][1]]})
    part = MethodFactors("ta-lora", [0], [broken])
    first, second = part.similarity("updates")
    assert np.isnan(first).all()
    panel = similarity_figure.Panel("", part.tasks, [first, second])
    assert panel.mean == pytest.approx(second)
    assert len(part.spectra("mode1")) == 1
    similarity_figure.draw_similarity([panel, similarity_figure.Panel("", part.tasks, [first])])


def test_table_speaks_of_every_unfolding(results: Results, factors: dict[str, MethodFactors]) -> None:
    table = factor_table(results, list(factors.values()))
    assert table is not None
    rows = {(row[0].shown, row[1].shown): row[2:] for row in table.rows}
    assert len(rows) == 9
    runs, effective, possible, separate, share = rows["LoRA-STL", "inputs"]
    ranks = [
        layer["mode1"]["effective_rank"] for s in SEEDS for layer in beside.factors("lora-stl", s)["layers"]
    ]
    assert effective.value == pytest.approx(np.mean(ranks))
    assert effective.note == f"{min(ranks):.2f} to {max(ranks):.2f}"
    assert (runs.value, possible.value) == (2, 9)
    assert share.note.startswith("first 4; ")
    assert (separate.value or 0) >= (effective.value or 0) - 1e-9
    assert rows["TA-LoRA (Tucker)", "inputs"][4].value == pytest.approx(100, abs=1e-3)
    assert rows["LoRA-STL", "tasks"][3].shown == "n/a"
    assert rows["TA-LoRA (Tucker)", "inputs"][3].shown == "n/a"


def test_energy_beyond_what_was_written_is_not_guessed(factors: dict[str, MethodFactors]) -> None:
    spectrum = factors["lora-stl"].spectra("mode1")[0]
    assert kept(spectrum, 100) == pytest.approx(1, abs=1e-5)
    cut = spectrum.model_copy(update={"values": spectrum.values[:4]})
    assert kept(cut, 4) == pytest.approx(sum(v**2 for v in spectrum.values[:4]))
    assert kept(cut, 5) is None


def test_captions_say_over_how_many_runs_and_layers(
    results: Results, factors: dict[str, MethodFactors]
) -> None:
    parts = list(factors.values())
    for text in (similarity_figure.caption(results, parts), spectrum_figure.caption(results, parts)):
        assert "2 layers; TA-LoRA (Tucker): 2 runs, TA-LoRA (CP): 2 runs, LoRA-STL: 2 runs" in text
    assert "LoRA-STL" not in similarity_figure.caption(results, parts[:1])
    assert "LoRA-STL" not in spectrum_figure.caption(results, parts[:1])


def test_many_variants_show_their_updates_and_say_what_is_left_out(
    results: Results, factors: dict[str, MethodFactors]
) -> None:
    tucker = factors["ta-lora"]
    few, many, most = ([tucker] * n for n in (4, 9, 11))
    assert len(similarity_figure.panels(results, few)) == 8
    assert [len(similarity_figure.panels(results, parts)) for parts in (many, most)] == [9, 9]
    assert "Rows of U3" in similarity_figure.caption(results, few)
    assert "Rows of U3" not in similarity_figure.caption(results, many)
    assert "not drawn" not in similarity_figure.caption(results, many)
    assert "2 further rows of the tables not drawn" in similarity_figure.caption(results, most)
    assert "2 further rows of the tables not drawn" in similarity_figure.layers_caption(results, most)


def test_the_page_has_the_table_where_there_are_factors(results: Results, tmp_path: Path) -> None:
    headings = {section.id: section.heading for section in sections(Content(results))}
    assert headings["factors"] == "What the factors learned"
    assert "method" not in headings  # no picture was drawn
    html = page(Content(results))
    html = html[html.index('<section id="factors">') : html.index('<section id="claims">')]
    assert html.count("Energy within TA-LoRA") == 1
    assert html.count('scope="row"') == 9
    made.write_results(tmp_path, seeds=(0,), methods=("ta-lora", "lora-stl"), pictures=False)
    without = read_results(tmp_path, "nyuv2")
    assert "factors" not in {section.id for section in sections(Content(without))}
    assert list(paper_figures.drawings(without, "paper")) == ["places"]


def test_a_method_whose_updates_cannot_be_analysed_is_named_with_the_reason(tmp_path: Path) -> None:
    folder = made.write_results(tmp_path, seeds=(0,), methods=("ta-lora",), pictures=False)
    found = analyse({"all": "'blocks.0.<b>' does not say what its factors are"}, ["a", "b"])
    (folder / made.cell_id("ta-lora", 0) / "factors.json").write_text(json.dumps(found))
    results = read_results(tmp_path, "nyuv2")
    assert read_factors(results) == []
    html = page(Content(results))
    html = html[html.index('<section id="factors">') :]
    assert "Not for TA-LoRA" in html
    assert "blocks.0.&lt;b&gt;" in html
    assert "Energy within TA-LoRA" not in html


def test_every_figure_is_there_with_all_files(results: Results) -> None:
    found = paper_figures.drawings(results, "paper")
    assert list(found) == [*paper_figures.METHOD, *paper_figures.FACTORS, "places"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda file: file | {"analysis_version": 2}, "analysis_version"),
        (lambda file: file | {"kind": "<script>"}, "kind"),
        (lambda file: file | {"more": 1}, "more"),
        (lambda file: file | {"tasks": ["segmentation"]}, "not a 1 x 1 matrix"),
        (lambda file: file | {"layers": [{}]}, "layers.0"),
    ],
)
def test_a_damaged_file_is_named(
    change: Callable[[dict[str, Any]], dict[str, Any]], said: str, tmp_path: Path
) -> None:
    folder = made.write_results(tmp_path, seeds=(0,), methods=("ta-lora",), pictures=False)
    path = folder / made.cell_id("ta-lora", 0) / "factors.json"
    path.write_text(json.dumps(change(beside.factors("ta-lora", 0))))
    with pytest.raises(StoreError, match=said) as caught:
        read_factors(read_results(tmp_path, "nyuv2"))
    assert str(path) in str(caught.value)
    assert "remove the file" in str(caught.value)
    path.write_text("{")
    with pytest.raises(StoreError, match="not whole JSON"):
        read_factors(read_results(tmp_path, "nyuv2"))
