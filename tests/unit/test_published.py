from __future__ import annotations

from pathlib import Path

import pytest

from tabench.errors import SpecError
from tabench.report.printed import METRICS, printed_metric, wrong_unit
from tabench.report.published import read_rows

SHIPPED = sorted((Path(__file__).parents[2] / "experiments" / "published").glob("*.csv"))
HEAD = "paper,table,dataset,setting,method,metric,value,evidence,source,tolerance"
GOOD = "A,Table 1,nyuv2,13 classes,ToRA,mIoU,52.1,secondary,quoted by B,"


def written(path: Path, *lines: str, head: str = HEAD) -> Path:
    path.write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    return path


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
