"""The flat table says what the records say, in Parquet and in CSV."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
import report_fixtures as made

from tabench.cli import main
from tabench.errors import StoreError
from tabench.store import flat_table
from tabench.store.flat_table import IMAGE_TABLE, METRIC_TABLE, write_table

DOCS = Path(__file__).parents[2] / "docs" / "table.md"
METHODS, SEEDS = ("ta-lora", "lora-stl", "frozen"), (0, 1)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    folder = made.write_results(root, seeds=SEEDS, methods=METHODS, pictures=False)
    record = made.record("frozen", 0)
    record["metrics"][0]["value"] = None
    record["per_image"]["values"]["depth"]["abs_err"][2] = None
    made.write(folder / record["cell_id"] / "record.json", record)
    (folder / made.cell_id("frozen", 1) / "run.json").unlink()
    return root


def export(results: Path, out: Path, *words: str) -> int:
    try:
        main(["export", "table", "nyuv2", "--results", str(results), "--out", str(out), *words])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def records(results: Path) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Records and circumstances in the order of the experiment, read without the package."""
    folder = results / "nyuv2"
    for name in json.loads((folder / "experiment.json").read_text())["cells"]:
        run = folder / name / "run.json"
        record = json.loads((folder / name / "record.json").read_text())
        yield record, json.loads(run.read_text()) if run.is_file() else {}


def metric_rows(results: Path) -> list[dict[str, Any]]:
    return [
        {
            "cell_id": r["cell_id"], "experiment": "nyuv2", "label": r["label"], "dataset": "scenes",
            "synthetic": True, "backbone": "sam_vit_nano", "method": r["cell"]["method"]["name"],
            "params": json.dumps(r["cell"]["method"]["params"], sort_keys=True), "balancing": "equal",
            "seed": r["cell"]["seed"],
            "task": m["task"], "metric": m["key"], "title": m["title"], "unit": m["unit"],
            "better": m["better"], "protocol": m["protocol"], "protocol_version": 1, "value": m["value"],
            "parameters_trained": r["parameters"]["trained"], "parameters_total": r["parameters"]["total"],
            "wall_s": run.get("wall_s"), "train_s": run.get("train_s"), "eval_s": run.get("eval_s"),
            "peak_rss_mb": run.get("peak_rss_mb"), "peak_gpu_mb": None, "device": run.get("device"),
            "started": run.get("started"), "finished": run.get("finished"), "tabench": None,
            "commit": "1234abcd" if run else None, "dirty": False if run else None,
        }
        for r, run in records(results) for m in r["metrics"]
    ]  # fmt: skip


def image_rows(results: Path) -> list[tuple[str, str, str, str, float | None]]:
    return [
        (r["cell_id"], task, key, image, value)
        for r, _ in records(results)
        for task, metrics in r["per_image"]["values"].items()
        for key, values in metrics.items()
        for image, value in zip(r["per_image"]["ids"], values, strict=True)
    ]


def test_parquet_holds_every_value_of_every_record(results: Path, tmp_path: Path) -> None:
    assert export(results, tmp_path / "runs.parquet") == 0
    rows = pq.read_table(tmp_path / "runs.parquet").to_pylist()
    assert rows == metric_rows(results)
    assert list(rows[0]) == list(METRIC_TABLE)


def test_csv_says_the_same(results: Path, tmp_path: Path) -> None:
    assert export(results, tmp_path / "runs.csv") == 0
    frame = pd.read_csv(tmp_path / "runs.csv", keep_default_na=False, na_values={"value": [""]})
    wanted = metric_rows(results)
    for name in ("cell_id", "params", "seed", "metric", "protocol", "parameters_trained"):
        assert frame[name].tolist() == [row[name] for row in wanted]
    assert [None if pd.isna(v) else v for v in frame["value"]] == [row["value"] for row in wanted]
    assert set(frame["dirty"]) == {"false", ""}
    assert frame["unit"].tolist() == [row["unit"] for row in wanted]


@pytest.mark.parametrize("group", [7, 200_000])
def test_a_row_for_each_image(
    group: int, results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flat_table, "GROUP", group)
    out = tmp_path / "images.parquet"
    assert export(results, out, "--per-image") == 0
    rows = pq.read_table(out).to_pylist()
    names = ("cell_id", "task", "metric", "image", "value")
    assert [tuple(row[name] for name in names) for row in rows] == image_rows(results)
    assert (rows[0]["unit"], rows[0]["better"], rows[0]["seed"]) == ("%", "higher", 0)
    assert (pq.ParquetFile(out).num_row_groups > 1) == (group == 7)


def test_equal_records_give_equal_bytes(results: Path, tmp_path: Path) -> None:
    for name in ("runs.parquet", "runs.csv"):
        assert export(results, tmp_path / "one" / name) == 0
        assert export(results, tmp_path / "two" / name) == 0
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_columns_are_documented() -> None:
    rows = [
        line.split("|") for line in DOCS.read_text(encoding="utf-8").splitlines() if line.startswith("| `")
    ]
    told = {name.strip(" `"): kind.strip() for _, name, kind, *_ in rows}
    assert told == METRIC_TABLE | IMAGE_TABLE


def test_a_damaged_record_leaves_the_file_that_was_there(results: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs.parquet"
    assert export(results, out) == 0
    before = out.read_bytes()
    (results / "nyuv2" / made.cell_id("lora-stl", 1) / "record.json").write_text("{")
    assert export(results, out) == 2
    assert out.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_another_suffix_is_refused_before_anything_is_read(
    results: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(results / "none", tmp_path / "runs.xlsx") == 2
    assert "neither .parquet nor .csv" in capsys.readouterr().err


def test_without_pyarrow_the_message_names_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    columns = {"a": "integer"}
    with pytest.raises(StoreError) as caught:
        write_table(tmp_path / "a.parquet", columns, [])
    assert "tabench[parquet]" in str(caught.value)
    assert write_table(tmp_path / "a.csv", columns, [{"a": [1, None]}]) == 2
    assert (tmp_path / "a.csv").read_text() == 'a\n1\n""\n'
