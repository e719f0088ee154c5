from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import spec_samples as samples
from hypothesis import given
from hypothesis import strategies as st

from tabench.errors import StoreError
from tabench.spec.cell import Cell
from tabench.store.encoding import dumps
from tabench.store.record import load_record, rounded

KEPT = Path(__file__).parent / "samples" / "record_v1.json"


@pytest.fixture
def cell(tmp_path: Path) -> Cell:
    return samples.cells(tmp_path, 'dataset.tasks=["depth"]', "train.lr=0.12345678901")[0]


def test_a_record_comes_back_as_it_was_saved(tmp_path: Path, cell: Cell) -> None:
    path = tmp_path / "x" / "record.json"
    saved = samples.save_record(path, samples.record(cell))
    assert load_record(path) == saved
    assert saved.cell == cell
    assert saved.cell.train.lr == 0.12345678901, "rounding the cell would change its id"
    assert saved.metrics[0].value == 0.33333333
    assert saved.per_image.values["depth"]["abs_err"] == [0.0, 0.33333333]


def test_undefined_values_are_null(tmp_path: Path, cell: Cell) -> None:
    content = samples.record(cell)
    content["metrics"][0]["value"] = math.nan
    content["per_image"]["values"]["depth"]["abs_err"] = [math.nan, 1.0]
    record = samples.save_record(tmp_path / "r.json", content)
    assert record.metrics[0].value is None
    assert record.per_image.values["depth"]["abs_err"] == [None, 1.0]
    assert b"NaN" not in (tmp_path / "r.json").read_bytes()
    (tmp_path / "r.json").write_text(json.dumps(content))
    with pytest.raises(StoreError, match=r"metrics\.0\.value"):
        load_record(tmp_path / "r.json")


@given(st.floats())
def test_rounding_keeps_eight_digits_and_is_final(value: float) -> None:
    once = rounded(value)
    if not math.isfinite(value):
        assert once is None
    else:
        assert once == pytest.approx(value, rel=6e-8)
        assert rounded([{"a": once}]) == [{"a": once}]


def spoil(content: dict[str, Any], path: str, value: object) -> None:
    *parents, last = path.split(".")
    table: Any = content
    for part in parents:
        table = table[int(part)] if part.isdigit() else table[part]
    table[last] = value


WRONG = [
    ("metrics.0.better", "bigger", "metrics.0.better: Input should be 'higher' or 'lower'"),
    ("parameters.traned", 1, "parameters.traned: unknown key"),
    ("legend", {}, "legend: unknown key"),
    ("cell_id", "0000", "cell_id is 0000 but the cell's own id is"),
    ("per_image.ids", ["val/0"], "depth.abs_err has 2 values for 1 images"),
    ("weights_sha256", "abc", "weights_sha256: String should match"),
    ("cell.train.epochs", 0, "cell.train.epochs: Input should be greater"),
    ("pictures.0.files.depth.pred", "../../key.png", "pictures.0.files.depth.pred: String should match"),
    ("pictures.0.files.depth.error", "..", "pictures.0.files.depth.error: String should match"),
    ("curves", None, "curves: Field required"),
    ("record_version", 2, "record version 2 is newer than this tabench reads (1)"),
]


@pytest.mark.parametrize(("key", "value", "message"), WRONG, ids=[key for key, _, _ in WRONG])
def test_a_wrong_record_is_neither_saved_nor_loaded(
    tmp_path: Path, cell: Cell, key: str, value: object, message: str
) -> None:
    path = tmp_path / "record.json"
    content = samples.record(cell)
    if value is None:
        del content[key]
    else:
        spoil(content, key, value)
    with pytest.raises(StoreError) as caught:
        samples.save_record(path, content)
    assert message in str(caught.value)
    assert not path.exists()
    path.write_text(dumps(rounded(content)))
    with pytest.raises(StoreError) as caught:
        load_record(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert caught.value.hint is not None


@pytest.mark.parametrize("keep", [0, 1, 100, -3])
def test_a_torn_record_is_named_with_what_to_do(tmp_path: Path, cell: Cell, keep: int) -> None:
    path = tmp_path / "record.json"
    samples.save_record(path, samples.record(cell))
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(StoreError, match="not whole JSON") as caught:
        load_record(path)
    assert str(path) in str(caught.value)
    assert "run the cell again" in str(caught.value)


def test_a_record_of_version_1_stays_readable() -> None:
    record = load_record(KEPT)
    assert record.cell_id == record.cell.id == "5cc4a19a8097a16c"
    assert record.metrics[0].value == 0.33333333
    assert dumps(record.model_dump(mode="json")) == KEPT.read_text(encoding="utf-8")
