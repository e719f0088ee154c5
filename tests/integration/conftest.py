"""Places for the tests that run the command line."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_run import write_weights


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory with tiny weights, a cache of its own and no data folders from outside."""
    write_weights(tmp_path / "nano.safetensors")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TABENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("TABENCH_DATA", raising=False)
    monkeypatch.delenv("TABENCH_CHECKPOINTS", raising=False)
    return tmp_path
