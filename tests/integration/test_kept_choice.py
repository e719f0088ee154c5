"""A cell that is resumed keeps the way to attention that it began with, whatever is faster by then."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from tiny_run import Stop, make_cell, write_scenes, write_weights

from tabench.encoders.sam import encoding
from tabench.encoders.sam.attention_cuda import attend_fused
from tabench.encoders.sam.family import VIT_NANO, Backbone
from tabench.events import WaysChosen
from tabench.runs.cell_run import run_cell
from tabench.runs.executor import CellEvent, Job, Options
from tabench.store.encoding import read_object
from tabench.store.folders import CellFolder
from tabench.store.record import load_record


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A cell whose attention goes by the ways for a GPU, which run on the CPU as well."""
    monkeypatch.setattr(encoding, "attend", attend_fused)
    write_weights(tmp_path / "nano.safetensors")
    cell = make_cell("ta-lora")
    return Job("nyuv2", cell, cell.label, write_scenes(tmp_path / "scenes"), tmp_path / "nano.safetensors")


def run(
    job: Job, results: Path, way: str, monkeypatch: pytest.MonkeyPatch, steps: int = 1000
) -> tuple[str, list[Mapping[str, Any]]]:
    """Compute a cell on a machine where a way is the fastest; its state, and the choices it told."""

    def choose(self: Backbone, rows: int, device: object, dtype: str) -> list[Mapping[str, Any]]:
        assert (rows, dtype) == (2 * 3, "float32")
        sides = (VIT_NANO.window_size, VIT_NANO.grid)
        shared = {"dtype": dtype, "way": way, "ms": {way: 1.0}, "left_out": {}}
        return [{"grid": [side, side], **shared} for side in sides]

    told: list[CellEvent] = []
    monkeypatch.setattr(Backbone, "choose", choose)
    options = Options(results=results, device="cpu", threads=1)
    outcome = run_cell(job, options, told.append, Stop(steps))
    assert outcome.state != "failed", outcome.message
    ways = [event.event for event in told if isinstance(event.event, WaysChosen)]
    return outcome.state, ways[0].choices


def test_resuming_gives_the_bits_of_the_way_it_began_with(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(job, tmp_path / "whole", "rows", monkeypatch)[0] == "done"
    assert run(job, tmp_path / "other", "widened", monkeypatch)[0] == "done"
    state, begun = run(job, tmp_path / "cut", "rows", monkeypatch, steps=2)
    assert state == "interrupted"
    assert run(job, tmp_path / "cut", "widened", monkeypatch) == ("done", begun)

    folders = {name: CellFolder(tmp_path / name, "nyuv2", job.cell.id) for name in ("whole", "other", "cut")}
    sums = {name: load_record(folder.record).weights_sha256 for name, folder in folders.items()}
    assert sums["cut"] == sums["whole"] != sums["other"]
    assert folders["cut"].record.read_bytes() == folders["whole"].record.read_bytes()
    assert read_object(folders["cut"].run)["attention"] == begun
    assert not folders["cut"].attention.exists()
