"""Tables: values, missing runs, ranks, escaping, and the same numbers in every format."""

from __future__ import annotations

import io
import json
import re
import shutil
import statistics
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import report_fixtures as made

from tabench.errors import StoreError
from tabench.report.pages.content import Content
from tabench.report.records.reading import read_results
from tabench.report.tables import latex, text
from tabench.report.tables.results import protocols_of, results_table
from tabench.report.tables.table import Table


@pytest.fixture
def made_up_results(tmp_path: Path) -> Path:
    return made.write_results(tmp_path / "results", pictures=False).parent


def table(results: Path, protocol: str = "paper") -> Table:
    return results_table(read_results(results, "nyuv2"), protocol)


def row(table: Table, method: str) -> tuple[str, str]:
    """A method's name as shown, and its seeds."""
    first, *_, last = table.rows[list(table.keys).index(method)]
    return first.shown, last.shown


def edit(results: Path, method: str, seed: int, change: dict[str, Any]) -> None:
    path = results / "nyuv2" / made.cell_id(method, seed) / "record.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def values(method: str, key: str, protocol: str = "paper") -> list[float]:
    return [
        m["value"]
        for seed in (0, 1, 2)
        for m in made.record(method, seed)["metrics"]
        if m["key"] == key and m["protocol"] == protocol
    ]


@pytest.mark.parametrize("protocol", ["paper", "pixel"])
def test_mean_and_sd_are_those_of_the_records(made_up_results: Path, protocol: str) -> None:
    entry = table(made_up_results, protocol).entry("lora-hps", "normals.mean")
    raw = values("lora-hps", "mean", protocol)
    assert entry.value == pytest.approx(statistics.mean(raw))
    assert entry.sd == pytest.approx(statistics.stdev(raw))
    assert entry.text == f"{statistics.mean(raw):.2f} ± {statistics.stdev(raw):.2f}"
    assert [point.cell_id for point in entry.points] == [made.cell_id("lora-hps", s) for s in (0, 1, 2)]


def test_delta_is_the_mean_over_seeds_of_the_paired_formula(made_up_results: Path) -> None:
    expected = []
    for seed in (0, 1, 2):
        pairs = zip(
            (m for m in made.record("ta-lora", seed)["metrics"] if m["protocol"] == "paper"),
            (m for m in made.record("lora-stl", seed)["metrics"] if m["protocol"] == "paper"),
            strict=True,
        )
        gains: dict[str, list[float]] = {}
        for mine, theirs in pairs:
            sign = 1 if mine["better"] == "higher" else -1
            gains.setdefault(mine["task"], []).append(
                sign * (mine["value"] - theirs["value"]) / theirs["value"]
            )
        expected.append(100 * statistics.mean(statistics.mean(g) for g in gains.values()))
    entry = table(made_up_results).entry("ta-lora", "delta.lora-stl")
    assert entry.value == pytest.approx(statistics.mean(expected))
    assert entry.shown.startswith("+")
    itself = table(made_up_results).entry("lora-stl", "delta.lora-stl")
    assert (itself.shown, itself.shown_sd) == ("0.00", "")


def test_best_and_second_follow_the_direction(made_up_results: Path) -> None:
    shown = table(made_up_results)
    for column in ("segmentation.miou", "depth.abs_err", "normals.median", "delta.full-stl"):
        means = {m: shown.entry(m, column).value or 0.0 for m in shown.keys}
        order = sorted(
            means, key=lambda m: means[m], reverse=column in ("segmentation.miou", "delta.full-stl")
        )
        ranks = {shown.entry(m, column).rank: m for m in shown.keys if shown.entry(m, column).rank}
        assert ranks == {1: order[0], 2: order[1]}
    assert all(shown.entry(m, "parameters").rank == 0 for m in shown.keys)


def test_an_undefined_metric_is_na_with_its_reason_and_takes_delta_with_it(made_up_results: Path) -> None:
    for seed in (0, 1, 2):
        metrics = made.record("ta-lora", seed)["metrics"]
        metrics[0] |= {"value": None, "notes": ["class 'books' is absent"]}
        edit(made_up_results, "ta-lora", seed, {"metrics": metrics})
    shown = table(made_up_results)
    entry = shown.entry("ta-lora", "segmentation.miou")
    assert (entry.text, entry.value) == ("n/a", None)
    assert "undefined" in entry.reason
    assert shown.entry("ta-lora", "delta.lora-stl").text == "n/a"
    assert "segmentation.miou" in shown.entry("ta-lora", "delta.lora-stl").reason
    assert any("class 'books' is absent" in note for note in shown.notes)
    for written in (text.csv(shown), text.markdown(shown), latex.latex(shown)):
        assert re.search(r"\bnan\b", written.lower()) is None


def test_every_protocol_of_the_runs_has_a_table(made_up_results: Path) -> None:
    metrics = made.record("ta-lora", 0)["metrics"]
    paper = [metric for metric in metrics if metric["protocol"] == "paper"]
    more = [metric | {"protocol": name} for name in ("libmtl", "of a package") for metric in paper]
    for method in made.METHODS:
        edit(made_up_results, method, 0, {"metrics": [*more, *metrics]})
    results = read_results(made_up_results, "nyuv2")
    assert protocols_of(results) == ["paper", "libmtl", "of a package", "pixel"]
    shown = results_table(results, "libmtl")
    assert (shown.name, shown.title) == ("table1_libmtl", "Table 1 (libmtl protocol)")
    assert shown.entry("ta-lora", "depth.abs_err").text != "n/a"
    assert any("LibMTL's code" in note for note in shown.notes)
    assert any("defined by the task" in note for note in results_table(results, "of a package").notes)


def test_missing_seeds_are_marked_and_unpaired_seeds_leave_delta(made_up_results: Path) -> None:
    home = made_up_results / "nyuv2" / made.cell_id("lora-stl", 1)
    shutil.rmtree(home)
    made.write(
        home / "failure.json", {"kind": "diverged", "message": "loss is NaN", "traceback": "", "attempt": 1}
    )
    shown = table(made_up_results)
    assert row(shown, "lora-stl") == ("LoRA-STL †", "2 of 3")
    assert len(shown.entry("ta-lora", "delta.lora-stl").points) == 2
    assert "seed 1" in shown.entry("ta-lora", "delta.lora-stl").reason
    assert any("1 failed" in note for note in shown.notes)


def test_a_method_without_runs_is_a_row_of_na(made_up_results: Path) -> None:
    for seed in (0, 1, 2):
        shutil.rmtree(made_up_results / "nyuv2" / made.cell_id("full-hps", seed))
    shown = table(made_up_results)
    assert {shown.entry("full-hps", c.id).text for c in shown.valued} == {"n/a"}
    assert shown.entry("full-hps", "depth.abs_err").reason == "no finished run"
    assert row(shown, "full-hps")[1] == "0 of 3"


def test_one_seed_has_no_standard_deviation(tmp_path: Path) -> None:
    made.write_results(tmp_path, seeds=(0,))
    assert "±" not in table(tmp_path).entry("ta-lora", "depth.abs_err").text


def test_records_of_other_cells_are_left_out_and_named(made_up_results: Path) -> None:
    plan_file = made_up_results / "nyuv2" / "experiment.json"
    plan = json.loads(plan_file.read_text())
    stranger = made.cell_id("frozen", 2)
    del plan["cells"][stranger]
    plan_file.write_text(json.dumps(plan))
    results = read_results(made_up_results, "nyuv2")
    assert results.strangers == [stranger]
    assert len(results.of("frozen")) == 2


def test_portable_and_native_runs_are_never_in_one_table(made_up_results: Path) -> None:
    cell = made.cell("frozen", 2)
    cell["train"]["numerics"] = "portable"
    other = made.Cell.model_validate(cell).id
    record = made.record("frozen", 2, cell=cell, cell_id=other, pictures=[])
    made.write(made_up_results / "nyuv2" / other / "record.json", record)
    plan_file = made_up_results / "nyuv2" / "experiment.json"
    plan = json.loads(plan_file.read_text())
    plan["cells"][other] = "frozen s2"  # as after a merge
    made.write(plan_file, plan)
    results = read_results(made_up_results, "nyuv2")
    assert results.strangers == [other]
    assert other not in {run.id for run in results.of("frozen")}
    assert len(results.of("frozen")) == 3


def test_no_results_and_damaged_records_are_named(made_up_results: Path) -> None:
    with pytest.raises(StoreError, match="no results"):
        read_results(made_up_results, "cityscapes")
    torn = made_up_results / "nyuv2" / made.cell_id("frozen", 0) / "record.json"
    torn.write_text(torn.read_text()[:500])
    with pytest.raises(StoreError) as caught:
        read_results(made_up_results, "nyuv2")
    assert str(torn) in str(caught.value)


@pytest.mark.parametrize("protocol", ["paper", "pixel"])
def test_all_formats_show_the_same_numbers(made_up_results: Path, protocol: str) -> None:
    shown = table(made_up_results, protocol)
    expected = [shown.entry(m, c.id).text for m in shown.keys for c in shown.valued]
    frame = pd.read_csv(io.StringIO(text.csv(shown)), comment="#", dtype=str, keep_default_na=False)
    from_csv = [f"{a} ± {b}" if b else a for a, b in zip(frame["shown"], frame["shown_sd"], strict=True)]
    assert from_csv == expected
    assert _from_rows(text.markdown(shown).splitlines()[4:], "|", r"</?u>|\*\*|^\||\|$") == expected
    body = latex.latex(shown).split(r"\midrule")[1].split(r"\bottomrule")[0].strip().splitlines()
    noise = r"\\\\$|\\textbf|\\underline|\\scriptsize|\\,|\{|\}"
    assert (
        _from_rows([line.replace("$-$", "-").replace("$\\pm$", " ± ") for line in body], "&", noise)
        == expected
    )


def _from_rows(lines: list[str], separator: str, noise: str) -> list[str]:
    texts = []
    for line in lines:
        if separator not in line:
            break
        cells = [cell.strip() for cell in re.sub(noise, "", line).split(separator)]
        texts += cells[1:-1]
    return texts


HOSTILE = r"<script>alert(1)</script> & 100% $x_1^2$ \input{x} #{~} | *b* `c` -- \"q\" Δ 漢"


def test_latex_escapes_every_special_letter() -> None:
    escaped = latex.escape_latex(HOSTILE)
    assert re.search(r"(?<!\\)[&%#_]", escaped) is None
    assert "\\input" not in escaped
    assert "--" not in escaped
    assert "漢" not in escaped
    assert latex.escape_latex("Δ_b") == r"$\Delta_b$"


def test_the_protocol_of_pascal_context_heads_the_table_of_its_dataset(made_up_results: Path) -> None:
    before = table(made_up_results)
    for path in (made_up_results / "nyuv2").glob("*/record.json"):
        path.write_text(path.read_text().replace('"paper"', '"pascal"'))
    renamed = table(made_up_results, "pascal")
    assert (renamed.name, renamed.title) == (before.name, before.title)
    assert "protocol" not in renamed.caption
    assert renamed.entry("ta-lora", "segmentation.miou") == before.entry("ta-lora", "segmentation.miou")
    (line,) = [note for note in renamed.notes if note.startswith("Protocol “pascal”")]
    assert "counts as 0" in line
    sheets = Content(read_results(made_up_results, "nyuv2")).sheets
    assert {"table1", "table1_pixel"} <= {sheet.name for sheet in sheets if sheet.fits}
