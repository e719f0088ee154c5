"""What every registered executor must do, with cells of one step. Each test is a sentence of the contract."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tabench.catalog import DATASETS, EXECUTORS
from tabench.errors import FAILURE_KINDS
from tabench.runs.executor import CellEvent, Job, Options, Outcome
from tabench.runs.plan import make_plan
from tabench.runs.resolve import Request
from tabench.spec.experiment import load_experiment
from tabench.store.folders import CellFolder

ELSEWHERE = {"slurm": "its cells run on a cluster (nox -s slurm)"}
EXPERIMENT = """
schema = 1
name = "battery"
title = "Cells of one step"

[axes]
methods = ["frozen"]
seeds = [0, 1, 2]

[profiles.demo.dataset]
name = "scenes"
tasks = ["depth"]
generate = { seed = 0, train = 1, val = 1, height = 24, width = 32 }

[profiles.demo.backbone]
name = "sam_vit_nano"

[profiles.demo.train]
max_steps = 1
batch_size = 1

[profiles.demo.evaluation]
pictures = 0
"""


@pytest.fixture
def jobs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Job]:
    """Three cells; the data of the one in the middle is not there."""
    for variable in ("TABENCH_DATA", "TABENCH_CHECKPOINTS"):
        monkeypatch.delenv(variable, raising=False)
    file = tmp_path / "battery.toml"
    file.write_text(EXPERIMENT, encoding="utf-8")
    plan = make_plan(load_experiment(file), Request(results=tmp_path / "results", device="cpu"))
    dataset, generate = DATASETS.get("scenes"), plan.resolution.generate
    assert generate is not None
    dataset.make(plan.resolution.data_root, **generate.model_dump())
    first, second, third = plan.jobs()
    return [first, replace(second, data_root=tmp_path / "nowhere"), third]


def run(name: str, jobs: list[Job], folder: Path, **more: str) -> tuple[dict[str, Outcome], list[CellEvent]]:
    """Outcomes by cell id, and what was heard on the way."""
    if name in ELSEWHERE:
        pytest.skip(ELSEWHERE[name])
    heard: list[CellEvent] = []
    options = Options(results=folder / "results", device="cpu", threads=1, workers=1, **more)  # type: ignore[arg-type]
    outcomes = EXECUTORS.get(name)().run(jobs, options, heard.append)
    assert len({outcome.job.cell.id for outcome in outcomes}) == len(outcomes), "two outcomes of one cell"
    return {outcome.job.cell.id: outcome for outcome in outcomes}, heard


def test_without_jobs_there_is_nothing_to_do(executor: str, tmp_path: Path) -> None:
    """Neither an outcome nor an event."""
    assert run(executor, [], tmp_path) == ({}, [])


def test_a_cell_that_fails_stops_no_other(executor: str, jobs: list[Job], tmp_path: Path) -> None:
    """One outcome a cell, as its files say; a failure has a kind and a message; events are told here."""
    outcomes, heard = run(executor, jobs, tmp_path)
    assert outcomes.keys() == {job.cell.id for job in jobs}
    first, second, third = (outcomes[job.cell.id] for job in jobs)
    assert (first.state, second.state, third.state) == ("done", "failed", "done"), (first, second, third)
    assert second.kind in FAILURE_KINDS
    assert "nowhere" in second.message
    for job in jobs:
        folder = CellFolder(tmp_path / "results", job.experiment, job.cell.id)
        assert folder.state() == outcomes[job.cell.id].state
        told = [one.event.name for one in heard if one.cell_id == job.cell.id]
        assert outcomes[job.cell.id].state in told
        assert told[0] == "start"


def test_after_a_failure_no_cell_is_started_where_it_is_asked_for(
    executor: str, jobs: list[Job], tmp_path: Path
) -> None:
    """`on_error = "stop"`: of cells that would all fail, one does, whatever their order."""
    failing = [replace(job, data_root=tmp_path / "nowhere") for job in jobs]
    outcomes, _ = run(executor, failing, tmp_path, on_error="stop")
    assert [outcome.state for outcome in outcomes.values() if outcome.state != "interrupted"] == ["failed"]
