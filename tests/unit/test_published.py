from __future__ import annotations

import json
from pathlib import Path

import pytest
from report_fixtures import write_results

from tabench.errors import SpecError
from tabench.report.records.printed import METRICS, printed_metric, wrong_unit
from tabench.report.records.published import lacking, read_published, read_rows
from tabench.report.records.reading import read_results

SHIPPED = sorted((Path(__file__).parents[2] / "experiments" / "published").glob("*.csv"))
HEAD = "paper,table,dataset,setting,method,metric,value,evidence,source,tolerance"
GOOD = "A,Table 1,nyuv2,13 classes,ToRA,mIoU,52.1,secondary,quoted by B,"


def written(path: Path, *lines: str, head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


def build(root: Path) -> Path:
    write_results(root, seeds=(0,), pictures=False)
    return root


def refused(path: Path, *lines: str, head: str = HEAD) -> SpecError:
    with pytest.raises(SpecError) as caught:
        read_rows(written(path / "numbers.csv", *lines, head=head))
    return caught.value


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_what_is_shipped_can_be_read_and_is_of_its_dataset(path: Path) -> None:
    rows = read_rows(path)
    assert {row["dataset"] for row in rows} == {path.stem}
    assert all(row["source"] and row["evidence"] in ("primary", "secondary") for row in rows)


def test_the_only_known_values_of_own_methods_are_the_two_quoted_pairs() -> None:
    (path,) = (path for path in SHIPPED if path.stem == "nyuv2")
    rows = [row for row in read_rows(path) if row["paper"] == "MTSAM"]
    found = {(row["method"], row["metric"]): (row["value"], row["evidence"]) for row in rows}
    assert found == {
        ("MTSAM+ToRA", "mIoU"): ("52.1", "secondary"),
        ("MTSAM+LoRA-STL", "mIoU"): ("51.8", "secondary"),
        ("MTSAM+ToRA", "AbsErr"): ("0.282", "secondary"),
        ("MTSAM+LoRA-STL", "AbsErr"): ("0.283", "secondary"),
    }


def test_the_tolerance_column_may_be_left_out_and_blanks_do_not_matter(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", "A , T,nyuv2,s,ToRA,mIoU, 52.1 ,primary,here", head=HEAD[:-10])
    (row,) = read_rows(path)
    assert (row["paper"], row["value"], row["tolerance"]) == ("A", "52.1", "")


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("52.1", "52,1", "more entries than columns", "quotes"),
        ("52.1", "fifty", "value 'fifty' is not a number", "52.1"),
        ("52.1", "nan", "value 'nan' is not a number", "52.1"),
        ("52.1", "", "'value' is empty", "traced"),
        ("52.1", "0.521", "wrong unit", "write 52.1"),
        ("52.1", "5210", "wrong unit", "between 1 and 100"),
        ("mIoU", "mIuO", "unknown metric 'mIuO'", "mIoU"),
        ("mIoU", "FPS", "unknown metric 'FPS'", "known metrics"),
        ("nyuv2", "nyu2", "unknown dataset 'nyu2'", "nyuv2"),
        ("secondary", "trust me", "evidence 'trust me'", "primary: you read it"),
        ("quoted by B", "", "'source' is empty", "traced"),
        ("quoted by B,", "quoted by B,-1", "tolerance -1 is negative", "0 or more"),
        ("quoted by B,", "quoted by B,some", "tolerance 'some' is not a number", "decimal point"),
    ],
)
def test_a_bad_line_is_named_with_its_fix(
    tmp_path: Path, old: str, new: str, message: str, hint: str
) -> None:
    error = refused(tmp_path, GOOD, GOOD.replace("Table 1", "Table 2").replace(old, new))
    assert message in error.message
    assert error.where is not None
    assert error.where.endswith("numbers.csv, line 3")
    assert error.hint is not None
    assert hint in error.hint


def test_a_duplicate_names_both_lines(tmp_path: Path) -> None:
    error = refused(tmp_path, GOOD, GOOD.replace("52.1", "52.2"))
    assert "stands in line 2 already" in error.message
    assert str(error.where).endswith("line 3")


def test_columns_are_checked(tmp_path: Path) -> None:
    assert (
        "unknown column 'tolerence'" in refused(tmp_path, head=HEAD.replace("tolerance", "tolerence")).message
    )
    assert "column 'metric' is missing" in refused(tmp_path, head=HEAD.replace("metric,", "")).message
    assert "fewer entries" in refused(tmp_path, "A,Table 1,nyuv2").message


def test_a_line_number_counts_lines_of_the_file_not_rows(tmp_path: Path) -> None:
    error = refused(tmp_path, GOOD.replace("quoted by B", '"quoted\nby B"'), GOOD.replace("52.1", "x"))
    assert str(error.where).endswith("line 4")


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(b"\xff\xfe\x00paper")
    with pytest.raises(SpecError, match="not a CSV file"):
        read_rows(path)


def test_a_metric_may_be_named_as_the_table_does(tmp_path: Path) -> None:
    (row,) = read_rows(written(tmp_path / "a.csv", GOOD.replace("mIoU", "segmentation.miou")))
    assert row["metric"] == "segmentation.miou"


def test_units_depend_on_the_dataset() -> None:
    error = printed_metric("RErr")
    assert error is not None
    assert wrong_unit(0.16, error, "nyuv2") == ""
    assert wrong_unit(16.0, error, "nyuv2") == "it looks multiplied by 100: write 0.16"
    assert wrong_unit(27.77, error, "cityscapes") == ""
    assert wrong_unit(0.27, error, "cityscapes") != ""


def test_no_name_means_two_metrics() -> None:
    spellings = [{"".join(c for c in name.lower() if c.isalnum()) for name in m.names} for m in METRICS]
    assert sum(map(len, spellings)) == len(set().union(*spellings))


@pytest.mark.parametrize(
    ("old", "new", "message", "hint"),
    [
        ("ToRA", "TA-LoRAA", "unknown method 'TA-LoRAA'", "did you mean 'ta-lora'"),
        ("ToRA", "X+lora-slt", "unknown method 'X+lora-slt'", "did you mean 'lora-stl'"),
        ("mIoU", "segmentation.miuo", "task 'segmentation' has no metric 'miuo'", "'segmentation.miou'"),
    ],
)
def test_a_mistyped_name_is_no_other_model(
    tmp_path: Path, old: str, new: str, message: str, hint: str
) -> None:
    results = read_results(build(tmp_path), "nyuv2")
    path = written(tmp_path / "numbers.csv", GOOD.replace(old, new))
    with pytest.raises(SpecError) as caught:
        read_published(results, path)
    assert (caught.value.message, str(caught.value.where).rpartition(", ")[2]) == (message, "line 2")
    assert hint in str(caught.value.hint)


def test_another_model_may_have_nearly_the_same_name(tmp_path: Path) -> None:
    results = read_results(build(tmp_path), "nyuv2")
    lines = [GOOD.replace("ToRA", "QA-LoRA") + ",yes", GOOD.replace("ToRA", "MTLoRA") + ","]
    found = read_published(results, written(tmp_path / "a.csv", *lines, head=HEAD + ",other"))
    assert found is not None
    assert list(found.others().frame["method"]) == ["QA-LoRA", "MTLoRA"]


def test_values_are_found_in_the_file_or_beside_the_records_and_never_silently_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = build(tmp_path / "there")
    file = root / "nyuv2" / "experiment.json"
    plan = json.loads(file.read_text())
    assert plan["report"]["published"] == "published/nyuv2.csv"
    bare = read_results(root, "nyuv2")
    assert read_published(bare) is None
    assert "names published/nyuv2.csv, and neither that file nor a copy" in lacking(bare, None)
    with pytest.raises(SpecError, match="no such file of published values"):
        read_published(bare, tmp_path / "published" / "nyuv2.csv")
    file.write_text(json.dumps({**plan, "published": f"{HEAD}\n{GOOD}\n"}))
    kept = read_results(root, "nyuv2")
    for path in (None, tmp_path / "published" / "nyuv2.csv"):  # nowhere, and moved away
        found = read_published(kept, path)
        assert found is not None
        assert list(found.frame["value"]) == ["52.1"]
        assert lacking(kept, found) == ""
    with pytest.raises(SpecError, match="no such file of published values"):  # mistyped since
        read_published(kept, tmp_path / "published" / "nyu2.csv")
    file.write_text(json.dumps({**plan, "published": f"{HEAD}\n{GOOD.replace('52.1', '0.5')}\n"}))
    with pytest.raises(SpecError, match="wrong unit") as caught:
        read_published(read_results(root, "nyuv2"))
    assert "experiment.json, line 2" in str(caught.value.where)
