"""Rendering side by side gives what rendering one after the other gives."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import report_fixtures as made

from tabench.errors import StoreError
from tabench.report.pages.several import Page, write_all


def pages(results: Path, out: Path, *names: str) -> list[Page]:
    return [Page(results, name, out / name, None, overview=False) for name in names]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small experiments without curves."""
    folder = tmp_path_factory.mktemp("several") / "results"
    for name in ("first", "second"):
        home = made.write_results(folder, name, seeds=(0,), methods=("lora-stl",), pictures=False)
        for path in home.glob("*/record.json"):
            bare = json.loads(path.read_text()) | {"curves": {"train": [], "eval": []}, "pictures": []}
            made.write(path, bare)
    return folder


def test_two_processes_write_the_bytes_that_one_does_and_an_error_says_where(
    results: Path, tmp_path: Path
) -> None:
    alone = list(write_all(pages(results, tmp_path / "one", "first", "second"), workers=1))
    beside: list[list[Path]] = []
    with pytest.raises(StoreError) as caught:
        beside.extend(write_all(pages(results, tmp_path / "two", "first", "second", "absent"), workers=2))
    assert caught.value.where == str(results / "absent")
    assert caught.value.hint == "run it first: tabench run <file.toml>"
    assert len(alone) == len(beside) == 2
    for one, two in zip(alone, beside, strict=True):
        names = [path.relative_to(tmp_path / "one") for path in one]
        assert [path.relative_to(tmp_path / "two") for path in two] == names
        assert [path.read_bytes() for path in two] == [path.read_bytes() for path in one]
