"""Rows that are hyper-parameters: names, order, headline and figure; Delta_b by definition."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import report_fixtures as made

from tabench.report.figures.sizes import draw_sizes, has_sizes
from tabench.report.records import variants
from tabench.report.records.reading import Results, read_results
from tabench.report.records.scores import deltas
from tabench.report.tables.findings import headline
from tabench.report.tables.results import definitions_table, results_table
from tabench.stats.delta_b import VARIANTS


def write(root: Path, rows: list[tuple[str, dict[str, Any]]], baselines: list[str]) -> Results:
    cells = {}
    for number, (method, params) in enumerate(rows):
        for seed in (0, 1):
            cell = made.cell(method, seed)
            cell["method"]["params"] = {key: value for key, value in params.items() if key != "balancing"}
            if "balancing" in params:
                cell["balancing"] = {"name": params["balancing"]}
            name = made.Cell.model_validate(cell).id
            record = made.record(method, seed, cell=cell, cell_id=name, pictures=[])
            record["parameters"]["trained"] += 1000 * number
            made.write(root / "ranks" / name / "record.json", record)
            cells[name] = f"{method} s{seed}"
    plan = {
        "name": "ranks",
        "title": "Ranks",
        "table": "Table 4",
        "report": {"baselines": baselines},
        "cells": cells,
    }
    made.write(root / "ranks" / "experiment.json", plan)
    return read_results(root, "ranks")


def ranks(root: Path) -> Results:
    rows: list[tuple[str, dict[str, Any]]] = [
        ("ta-lora", {"ranks": [p, q, 2]}) for p, q in ((16, 16), (8, 8), (8, 4))
    ]
    rows += [("ta-lora-cp", {"rank": rank}) for rank in (32, 4)]
    rows += [("lora-stl", {"rank": rank}) for rank in (16, 8)]
    return write(root, [*rows, ("full-stl", {})], ["full-stl", "lora-stl", "lora-stl r=8"])


def test_rows_are_named_by_their_ranks_and_ordered(tmp_path: Path) -> None:
    results = ranks(tmp_path)
    assert [results.title(method) for method in results.methods] == [
        "TA-LoRA p=8, q=4, v=2", "TA-LoRA p=q=8, v=2", "TA-LoRA p=q=16, v=2",
        "TA-LoRA (CP) R=4", "TA-LoRA (CP) R=32", "LoRA-STL r=8", "LoRA-STL r=16", "Full fine-tuning STL",
    ]  # fmt: skip
    table = results_table(results, "paper")
    assert (table.name, table.label) == ("table4", "ranks-table4")
    assert {row[-1].shown for row in table.rows} == {"2"}


def test_a_baseline_with_several_rows_is_the_one_listed_first(tmp_path: Path) -> None:
    results = ranks(tmp_path)
    assert results.baselines == ["full-stl", "lora-stl r=16", "lora-stl r=8"]
    assert results.row("frozen") is None


def test_unfinished_cells_stand_in_the_row_of_their_label(tmp_path: Path) -> None:
    rows: list[tuple[str, dict[str, Any]]] = [("ta-lora", {"ranks": [r, r, 2]}) for r in (16, 8)]
    write(tmp_path, rows, [])
    plan = tmp_path / "ranks" / "experiment.json"
    content = json.loads(plan.read_text())
    names = list(content["cells"])  # 16 s0, 16 s1, 8 s0, 8 s1
    content["cells"] = {
        name: f"ta-lora (ranks=[{rank}, {rank}, 2]) s{seed}"
        for name, (rank, seed) in zip(names, [(16, 0), (16, 1), (8, 0), (8, 1)], strict=True)
    } | {"0" * 16: "ta-lora (ranks=[4, 2, 1]) s0"}
    made.write(plan, content)
    shutil.rmtree(tmp_path / "ranks" / names[3])
    results = read_results(tmp_path, "ranks")
    table = results_table(results, "paper")
    assert [row[0].shown for row in table.rows] == ["p=4, q=2, v=1 †", "p=q=8, v=2 †", "p=q=16, v=2"]
    assert [row[-1].shown for row in table.rows] == ["0 of 1", "1 of 2", "2"]


def test_a_label_is_read_back() -> None:
    roles = variants.from_label('mine (roles=["qkv", "mlp.lin1"], rank=2)')
    assert roles["method.params.roles"] == ("qkv", "mlp.lin1")
    setting = variants.from_label("ta-lora (ranks=[8, 8, 2], regularise=U1,U2, orthogonality=0.1)")
    assert setting == {
        "method.name": "ta-lora", "method.params.ranks": (8, 8, 2),
        "method.params.regularise": "U1,U2", "method.params.orthogonality": 0.1,
    }  # fmt: skip


def test_rows_of_one_method_are_named_by_what_differs_alone(tmp_path: Path) -> None:
    rows = [("ta-lora", {"ranks": [8, 8, 2], "regularise": factors, "orthogonality": weight})
            for factors in ("U1,U2,G", "U1, U2", "") for weight in (1.0, 0.1)]  # fmt: skip
    results = write(tmp_path, rows, [])
    assert [results.title(method) for method in results.methods] == [
        "none; λ=0.1", "none; λ=1", "U1,U2; λ=0.1", "U1,U2; λ=1", "U1,U2,G; λ=0.1", "U1,U2,G; λ=1"
    ]  # fmt: skip
    table = results_table(results, "paper")
    sentence = headline(results, [table])
    assert "the best of 6 rows by task: segmentation mIoU" in sentence
    assert definitions_table(results, ["paper"]) is None


def test_rows_are_told_apart_by_their_balancing(tmp_path: Path) -> None:
    results = write(tmp_path, [("lora-hps", {"rank": 8}), ("lora-hps", {"rank": 8, "balancing": "by-x"})], [])
    assert [results.title(method) for method in results.methods] == ["equal", "by-x"]
    assert "Tasks balanced by “by-x” (lora-hps s0 and lora-hps s1)." in results_table(results, "paper").notes
    setting = variants.from_label("lora-hps (balancing=by-x, rank=2, balancing.lr=0.5)")
    assert setting == {
        "method.name": "lora-hps", "balancing.name": "by-x",
        "method.params.rank": 2, "balancing.params.lr": 0.5,
    }  # fmt: skip
    assert variants.name(setting, ["balancing.name", "balancing.params.lr"]) == "by-x, lr=0.5"
    assert variants.name({}, ["balancing.name", "balancing.params.lr"]) == "equal"


def test_other_settings_keep_their_names() -> None:
    setting = {"train.embedding_lr": 10.0, "method.params.targets": "qv"}
    assert variants.name(setting, variants.differing([setting, {}])) == "targets=qv, embedding lr=10"
    assert variants.differing([{"a": 1, "b": 2}, {"a": 1}]) == ["b"]
    assert variants.name({"a": 1}, ["b"]) == "no b"
    assert (
        variants.order({"a": 8}, ["a"]) < variants.order({"a": 16}, ["a"]) < variants.order({"a": "x"}, ["a"])
    )


def test_the_figure_joins_the_rows_of_a_method_by_size(tmp_path: Path) -> None:
    results = ranks(tmp_path)
    table = results_table(results, "paper")
    assert has_sizes(results, table)
    axes = draw_sizes(results, table).axes
    assert len(axes) == 3
    lines = {container.get_label(): container.lines[0] for container in axes[0].containers}
    assert set(lines) == {"TA-LoRA (Tucker)", "TA-LoRA (CP)", "LoRA-STL", "Full fine-tuning STL"}
    shown = sorted(
        (e.value, table.entry(m, "delta.full-stl").value)
        for m in results.methods if m.startswith("ta-lora ") and (e := table.entry(m, "parameters"))
    )  # fmt: skip
    line = lines["TA-LoRA (Tucker)"]
    assert [list(line.get_xdata()), list(line.get_ydata())] == [[x for x, _ in shown], [y for _, y in shown]]


def test_methods_without_variants_have_no_such_figure(tmp_path: Path) -> None:
    made.write_results(tmp_path, seeds=(0,), pictures=False)
    results = read_results(tmp_path, "nyuv2")
    assert not has_sizes(results, results_table(results, "paper"))


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_definition_stands_in_the_table(tmp_path: Path, variant: str) -> None:
    made.write_results(tmp_path, seeds=(0, 1), methods=("ta-lora", "lora-stl", "full-stl"), pictures=False)
    results = read_results(tmp_path, "nyuv2")
    table = definitions_table(results, ["paper", "pixel"])
    assert table is not None
    assert len(table.valued) == 2 * 2 * len(VARIANTS)
    for protocol in ("paper", "pixel"):
        entry = table.entry("ta-lora", f"delta.lora-stl.{protocol}.{variant}")
        points, _ = deltas(results, "ta-lora", "lora-stl", protocol, variant)
        assert entry.value == pytest.approx(sum(point.value for point in points) / 2)
        assert entry.rank == 1  # the best also where lower is better
        assert (entry.value > 0) == (VARIANTS[variant].better == "higher")
    assert any(note.startswith(f"{variant} v{VARIANTS[variant].version}") for note in table.notes)
    assert any(
        "Against LoRA-STL, every definition finds the same best method" in note for note in table.notes
    )
