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


def test_a_rehearsal_of_the_gpu_suite_on_a_cpu(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["bench", "--rehearse", "--parts=vit_l,tests", "--only=tests", "--only=*-vit_l-n4-bf16-together"]
    assert call(*words, *places(tmp_path), "--json") == 0
    told = capsys.readouterr()
    assert told.err.startswith("tests about ")
    assert "; vit_l about " in told.err.splitlines()[0]
    found = {figure["name"]: figure for figure in json.loads(told.out)["figures"]}
    assert set(found) == {"tests", "paths-ta-lora-nano-24-n2-bf16-together"}
    assert all(figure["place"]["rehearsal"] for figure in found.values())
    assert found["tests"]["parts"]["time"]["failed"] == 0
    (folder,) = (tmp_path / "results").iterdir()
    assert folder.name.startswith("rehearsal-on-")
    assert "A rehearsal: tiny models" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    assert call(*words, *places(tmp_path)) == 0
    told = capsys.readouterr()
    assert "tests there already; vit_l there already" in told.err
    assert told.out.startswith("rehearsed, figures: ")


def test_the_gpu_suite_needs_a_gpu_and_a_rehearsal_is_no_measurement(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("bench", "--suite=gpu", "--device=cpu", *places(tmp_path)) == 2
    assert "--rehearse" in capsys.readouterr().err
    assert call("bench", "--suite=gpu", "--device=cpu", "--list", *places(tmp_path)) == 0
    assert "paths-ta-lora-vit_l-n1-bf16" in capsys.readouterr().out
    assert call("bench", "--rehearse", "--parts=losses", "--full", "--out=results/bench") == 2
    assert "a rehearsal is no measurement" in capsys.readouterr().err


def test_without_measurements_there_is_no_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("bench", "--render", *places(tmp_path)) == 2
    assert "no measurements here" in capsys.readouterr().err
