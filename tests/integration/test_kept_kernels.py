"""A cell that is resumed keeps the kernels that it began with, whatever is faster by then."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import Stop, make_cell, write_scenes, write_weights

from tabench.encoders.sam import encoding
from tabench.encoders.sam.attention_cuda import attend_fused
from tabench.encoders.sam.family import VIT_NANO, Backbone
from tabench.runs.cell_run import run_cell
from tabench.runs.executor import Job, Options
from tabench.store.encoding import read_object
from tabench.store.folders import CellFolder


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Job:
    """A cell whose attention goes by the kernels for a GPU, which run on the CPU as well."""
    monkeypatch.setattr(encoding, "attend", attend_fused)
    write_weights(tmp_path / "nano.safetensors")
    cell = make_cell("ta-lora", train__deterministic=False, evaluation__pictures=0)
    return Job("nyuv2", cell, cell.label, write_scenes(tmp_path / "scenes"), tmp_path / "nano.safetensors")


def run(job: Job, results: Path, kernel: str, monkeypatch: pytest.MonkeyPatch, steps: int = 1000) -> str:
    """Compute a cell on a machine where a kernel is the fastest; its state."""

    def choose(self: Backbone, rows: int, device: object, dtype: str) -> dict[str, Any]:
        assert not torch.are_deterministic_algorithms_enabled()  # as the cell declares
        return {f"{side}x{side}": {"kernel": kernel} for side in (VIT_NANO.window_size, VIT_NANO.grid)}

    monkeypatch.setattr(Backbone, "choose_kernels", choose)
    options = Options(results=results, device="cpu", threads=1)
    outcome = run_cell(job, options, lambda told: None, Stop(steps))
    assert outcome.state != "failed", outcome.message
    return outcome.state


def test_resuming_gives_the_bits_of_the_kernels_it_began_with(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert run(job, tmp_path / "whole", "rows", monkeypatch) == "done"
    assert run(job, tmp_path / "cut", "rows", monkeypatch, steps=2) == "interrupted"
    assert run(job, tmp_path / "cut", "widened", monkeypatch) == "done"

    whole, cut = (CellFolder(tmp_path / name, "nyuv2", job.cell.id) for name in ("whole", "cut"))
    assert cut.record.read_bytes() == whole.record.read_bytes()
    facts = read_object(cut.run)
    assert {found["kernel"] for found in facts["attention"].values()} == {"rows"}
    assert facts["environment"]["torch"]["deterministic"] is False
