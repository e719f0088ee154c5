"""`tabench bench`, measured for real at the smallest size."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import call

CODE = "from tabench.cli import main; main()"


def places(tmp_path: Path) -> tuple[str, ...]:
    return ("--out", str(tmp_path / "results"), "--page", str(tmp_path / "page" / "index.html"))


def bench(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            sys.executable,
            "-c",
            CODE,
            "bench",
            "--device",
            "cpu",
            "--threads",
            "1",
            *arguments,
            *places(tmp_path),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "NO_COLOR": "1"},
    )


def test_a_measurement_its_page_and_the_second_call(tmp_path: Path) -> None:
    arguments = ("--backbone", "nano-24", "--method", "frozen", "--repeats", "1")
    done = bench(tmp_path, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    (figure,) = json.loads(done.stdout)["figures"]
    assert set(figure["parts"]) == {"time", "memory-plain", "memory-fast"}
    assert figure["parts"]["time"]["agreement"]["gradients"] < 1e-3
    assert "[1/1] paths-frozen-nano-24-n1" in done.stderr
    (path,) = (tmp_path / "results").glob("*-1-thread/*.json")
    assert path.name == "paths-frozen-nano-24-n1.json"
    assert "Frozen encoder" in (tmp_path / "page" / "index.html").read_text(encoding="utf-8")
    before = path.read_bytes()
    again = bench(tmp_path, *arguments)
    assert "1 of them there already" in again.stderr
    assert path.read_bytes() == before


def test_wrong_names_are_answered(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, word in (
        (("--suite", "gpuu"), "gpu"),
        (("--backbone", "vit_bb"), "vit_b"),
        (("--method", "ta-lor"), "ta-lora"),
        (("--only", "paths-ta-lora-nano-n2"), "paths-ta-lora-nano"),
        (("--render",), "no measurements here"),
    ):
        assert call("bench", *arguments, *places(tmp_path)) == 2, arguments
        told = capsys.readouterr().err
        assert word in told
        assert "Traceback" not in told
