"""Portable numerics reach every process that computes a cell, whoever starts it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from commands import options, records, start
from patience import output_of

from tabench.provenance.environment import VARIABLES as RECORDED
from tabench.provenance.portable import MARK, VARIABLES, obstacle

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("place"),
    pytest.mark.skipif(bool(obstacle()), reason=f"no portable numerics here: {obstacle()}"),
]
HOW = {
    "inline": ["--executor=inline"],
    "pool": ["--executor=pool", "--workers=2"],
    "torchrun": ["--executor=inline", "--processes=2"],
}


def test_a_cell_is_the_same_in_every_executor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(MARK, raising=False)
    monkeypatch.setenv("MKL_CBWR", "AVX2")  # somebody's own choice gives way
    wanted = {name: value for name, value in VARIABLES.items() if name in RECORDED}
    assert "MKL_CBWR" in wanted
    for results, how in HOW.items():
        asked = options(
            results, "--select=method=frozen", "--set=axes.seeds=[0, 1]", "--set=train.numerics=portable"
        )
        process = start("run", *asked, *how)
        output = output_of(process)
        assert process.returncode == 0, output
        runs = [json.loads(path.read_text()) for path in Path(results).glob("nyuv2/*/run.json")]
        assert len(runs) == 2
        for run in runs:
            there = run["environment"]
            assert run["threads"] == there["torch"]["threads"] == 1
            assert there["torch"]["capability"] == "AVX2"
            assert "Haswell" in there["numpy_blas"]
            assert wanted.items() <= there["variables"].items()
    assert records("pool") == records("inline")
    assert (
        len(list(Path("cache").glob("scenes-*"))) == len(list(Path("cache").glob("scenes-*-portable"))) == 1
    )
