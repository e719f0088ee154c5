"""Systems other than Linux: what they lack is said, or done in another way."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tabench.runs import circumstances


def test_a_system_without_locks_is_told_which_ones_there_are() -> None:
    code = "import sys; sys.modules['fcntl'] = None; import tabench.cli"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.strip() == "tabench runs on Linux and macOS; on Windows, install it in WSL"
    assert done.returncode == 1


def test_peak_memory_is_in_bytes_on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(path: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(circumstances.Path, "read_text", missing)
    here = circumstances.peak_memory()["peak_rss_mb"]
    monkeypatch.setattr(circumstances.sys, "platform", "darwin")
    assert circumstances.peak_memory()["peak_rss_mb"] == pytest.approx(here / 1024, abs=0.1)
