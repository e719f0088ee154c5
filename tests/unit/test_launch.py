"""How many processes a cell may have, and what becomes of what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tiny_run import make_cell

from tabench.errors import SpecError
from tabench.runs.executor import Job, Options
from tabench.runs.launch import check_processes, run_job
from tabench.runs.local.pool import worker_environments
from tabench.runs.local.torchrun import _cause, _lines
from tabench.runs.slurm_settings import SlurmSettings
from tabench.store.folders import CellFolder

HERE = Path("results")


def jobs(*batches: int) -> list[Job]:
    cells = [make_cell("frozen", train__batch_size=batch) for batch in batches]
    return [Job("x", cell, f"batch {cell.train.batch_size}", HERE, HERE) for cell in cells]


@pytest.mark.parametrize(
    ("how", "gpus", "message"),
    [
        ({"device": "cuda:1", "processes": 1}, [], ""),
        ({"device": "cpu"}, [], ""),
        ({}, ["0", "1"], ""),
        ({"processes": 3}, ["0", "1"], "3 processes a cell need 3 GPUs, 2 found"),
        ({"device": "cuda:1"}, ["1"], "names one, cuda:1"),
        ({"slurm": SlurmSettings(gpus=2)}, [], ""),
        ({"slurm": SlurmSettings(gpus=0)}, [], ""),  # on CPUs, or by another option of sbatch
        ({"slurm": SlurmSettings(gpus=1)}, [], "slurm.gpus = 1 a cell"),
        ({"device": "cpu", "processes": 3}, [], "batch 2 has batches of 2: 1 of 3 processes would never"),
    ],
)
def test_more_processes_than_can_work_are_refused(how: dict[str, Any], gpus: list[str], message: str) -> None:
    asked = Options(results=HERE, **{"processes": 2, **how})
    if not message:
        check_processes(asked, jobs(2, 3), gpus)
        return
    with pytest.raises(SpecError, match=message) as caught:
        check_processes(asked, jobs(3, 2), gpus)
    assert caught.value.where == f"--processes {asked.processes}"


def test_what_cannot_be_imported_is_the_cells_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a library is missing or broken: the pool's process lives on, and says which."""
    monkeypatch.setitem(sys.modules, "tabench.runs.cell_run", None)
    told: list[str] = []
    (job,) = jobs(2)
    outcome = run_job(job, Options(results=tmp_path), lambda one: told.append(one.event.name), lambda: False)
    assert (outcome.state, outcome.kind, told) == ("failed", "unexpected", ["failed"])
    assert "tabench.runs.cell_run" in outcome.message
    failure = CellFolder(tmp_path, job.experiment, job.cell.id).read_failure()
    assert "ModuleNotFoundError: import of tabench.runs.cell_run halted" in failure["traceback"]


def test_workers_share_gpus_and_cores_among_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tabench.runs.local.pool.usable_cores", lambda: 8)
    monkeypatch.setattr("tabench.runs.local.pool.gpus_of", lambda device: ["0", "1", "2", "4", "5"])
    environments = worker_environments(Options(results=HERE, processes=2), 9)
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in environments] == ["0,1", "2,4"]
    assert [environment["OMP_NUM_THREADS"] for environment in environments] == ["2", "2"]
    monkeypatch.setattr("tabench.runs.local.pool.gpus_of", lambda device: [])
    environments = worker_environments(Options(results=HERE, processes=2), 9)
    assert [environment["OMP_NUM_THREADS"] for environment in environments] == ["1"] * 4
    assert [p["OMP_NUM_THREADS"] for p in worker_environments(Options(results=HERE, processes=16), 9)] == [
        "1"
    ]


def test_what_others_print_is_not_taken_for_the_cells_words() -> None:
    code = (
        "import sys; out = sys.stdout\n"
        'out.write(\'noise\\n[1]\\n{"x": 1}\\n{"event": "st\'); out.flush()\n'
        "stop = sys.stdin.read(4)\n"
        'out.write(\'ep", "facts": {"told": "\' + stop + \'"}}\\n{"outcome": "done"}\\n\')'
    )
    agent = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with agent:
        found = list(_lines(agent, lambda: True))
    assert found == [{"event": "step", "facts": {"told": "stop"}}, {"outcome": "done"}]


def test_a_death_names_the_process_and_how_it_died() -> None:
    report = (
        "Traceback (most recent call last):\n  ...\nModuleNotFoundError: No module named 'x'\n"
        "Root Cause (first observed failure):\n[0]:\n  rank      : 3 (local_rank: 3)\n"
        "  exitcode  : {} (pid: 7)\ntorch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
    )
    assert _cause(report.format(-9), 4) == "process 3 of 4 died (SIGKILL, often for want of memory)"
    assert _cause(report.format(-11), 4) == "process 3 of 4 died (SIGSEGV)"
    assert _cause(report.format(1), 4) == (
        "process 3 of 4 died (exit code 1): ModuleNotFoundError: No module named 'x'"
    )
    assert _cause("", 4) == "its 4 processes did not come up, or died"
