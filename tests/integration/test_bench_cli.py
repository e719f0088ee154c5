"""`tabench bench`, measured for real at the smallest size."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import call


def places(tmp_path: Path) -> tuple[str, ...]:
    return ("--out", str(tmp_path / "results"), "--page", str(tmp_path / "page" / "index.html"))


def test_a_measurement_its_page_and_the_second_call(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "--device=cpu", "--threads=1", "--backbone=nano-24", "--method=frozen", "--repeats=1"]
    assert call(*words, *places(tmp_path), "--json") == 0
    told = capsys.readouterr()
    (figure,) = json.loads(told.out)["figures"]
    assert set(figure["parts"]) == {"time", "memory-plain", "memory-fast"}
    assert figure["parts"]["time"]["agreement"]["gradients"] < 1e-3
    assert "[1/1] paths-frozen-nano-24-n1" in told.err
    (path,) = (tmp_path / "results").glob("*-1-thread/*.json")
    assert path.name == "paths-frozen-nano-24-n1.json"
    assert "Frozen encoder" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    before = path.read_bytes()
    assert call(*words, *places(tmp_path)) == 0
    assert "1 of them there already" in capsys.readouterr().err
    assert path.read_bytes() == before


def test_without_measurements_there_is_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("bench", "--render", *places(tmp_path)) == 2
    assert "no measurements here" in capsys.readouterr().err
