"""Places for the tests that run the command line."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from commands import call, settle
from slurm_cluster import QUEUE, there, until
from tiny_run import write_weights


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with tiny weights, a cache of its own and no data folders from outside."""
    write_weights(tmp_path / "nano.safetensors")
    settle(tmp_path, monkeypatch)
    return tmp_path


@pytest.fixture
def cluster_place(place: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same for tests on a Slurm cluster; afterwards, nothing of them is left in its queue."""
    monkeypatch.setattr("tabench.runs.slurm.executor.ASK_SECONDS", 2.0)
    yield place
    if there():
        call("cancel", "nyuv2", "--results=slurm")
        until(lambda: not _any_left())


def _any_left() -> bool:
    from tabench.runs.slurm.queue import cells_of, submissions

    return any(last.waiting for last in cells_of(submissions(QUEUE)).values())
