"""`tabench report`: one experiment, some, or all; where it writes, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import report_fixtures as made
from commands import call

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "nyuv2.toml"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two small experiments and one without a finished cell."""
    monkeypatch.chdir(tmp_path)
    for name in ("first", "second", "open"):
        home = made.write_results(
            tmp_path / "results", name, seeds=(0,), methods=("lora-stl",), pictures=False
        )
        for path in home.glob("*/record.json"):
            made.write(
                path, json.loads(path.read_text()) | {"curves": {"train": [], "eval": []}, "pictures": []}
            )
    shutil.rmtree(tmp_path / "results" / "open" / made.cell_id("lora-stl", 0))
    return tmp_path


def test_without_a_name_everything_finished_is_rendered(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # in this process, where all that draws is loaded: `write_all` with several has a test of its own
    monkeypatch.setattr("tabench.provenance.environment.usable_cores", lambda: 1)
    assert call("report", "--json") == 0
    printed = capsys.readouterr()
    files = {Path(file) for file in json.loads(printed.out)["files"]}
    assert {
        Path("reports/first/index.html"),
        Path("reports/second/index.html"),
        Path("reports/index.html"),
    } <= files
    assert all(file.is_file() for file in files)
    assert "open: no finished cell" in printed.err
    assert "0 of 1 run done, 1 pending" in Path("reports/index.html").read_text(encoding="utf-8")


def test_one_experiment_refreshes_the_overview(folder: Path) -> None:
    assert call("report", "second") == 0
    assert not Path("reports/first").exists()
    overview = Path("reports/index.html").read_text(encoding="utf-8")
    assert "second/index.html" in overview
    assert "<b>first</b>" in overview


def test_a_folder_elsewhere_stands_alone(folder: Path) -> None:
    assert call("report", "first", "--out=elsewhere/page") == 0
    assert not Path("elsewhere/index.html").exists()
    assert not Path("reports").exists()
    page = Path("elsewhere/page/index.html").read_text(encoding="utf-8")
    assert 'href="../index.html"' not in page
    assert "Published values are missing here: the experiment names published/nyuv2.csv" in page


def test_one_folder_cannot_hold_several(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("report", "first", "second", "--out=both") == 2
    assert "--out needs exactly one experiment" in capsys.readouterr().err
    assert call("report", "--results=nothing") == 2
    assert "no experiment with a finished cell" in capsys.readouterr().err


def test_a_file_of_published_values_that_is_mistyped_is_an_error(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = EXPERIMENT.read_text(encoding="utf-8")
    for old, new in (('name = "nyuv2"', 'name = "first"'), ("published/nyuv2.csv", "published/nyu2.csv")):
        assert old in text
        text = text.replace(old, new, 1)
    Path("mine.toml").write_text(text, encoding="utf-8")
    shutil.copytree(EXPERIMENT.parent / "published", "published")
    assert call("report", "mine.toml") == 2
    told = capsys.readouterr().err
    assert "published/nyu2.csv: no such file of published values" in told
    assert "did you mean 'nyuv2.csv'?" in told
    assert call("plan", "mine.toml", "--profile=demo") == 2
    assert "no such file of published values" in capsys.readouterr().err
